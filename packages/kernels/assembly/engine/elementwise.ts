/** Elementwise functions of one and two vectors, accumulate and fill. Items are elements. */
import { boundedExp2, constant, decay4, exp4, expm14, fma, loadTail, log1mexp4, log1p4, log4, ONE, sigmoid4, softCap4, storeTail, tanh4 } from "../lib/simd";

/** gelu_tanh(x) = x σ(u), u = 2 √(2/π) (x + 0.044715 x³). The coefficients of x and x³ in -u / ln 2, then of 1 and x² in u'. */
const GELU: usize = memory.data<f32>([-2.302208198144, -0.10294323958002, 1.595769121606, 0.21406444881780], 4);

/** e^-u of gelu, bounded so that σ(-u) = e^-u σ(u) is finite. */
// @ts-ignore: decorator
@inline
export function geluDecay(x: v128): v128 {
  return boundedExp2(f32x4.mul(x, fma(f32x4.mul(x, x), constant(GELU, 1), constant(GELU))));
}

/** u' of gelu. */
// @ts-ignore: decorator
@inline
export function geluSlope(x: v128): v128 {
  return fma(f32x4.mul(x, x), constant(GELU, 3), constant(GELU, 2));
}

// @ts-ignore: decorator
@inline
export function silu(x: v128): v128 {
  return f32x4.div(x, f32x4.add(constant(ONE), exp4(f32x4.neg(x))));
}

// @ts-ignore: decorator
@inline
export function gelu(x: v128): v128 {
  return f32x4.div(x, f32x4.add(constant(ONE), geluDecay(x)));
}

/** s (1 + x (1 - s)) */
// @ts-ignore: decorator
@inline
export function siluDerivative(x: v128): v128 {
  const one = constant(ONE);
  const decay = decay4(x);
  const s = f32x4.div(one, f32x4.add(one, decay));
  return f32x4.mul(s, fma(x, f32x4.mul(decay, s), one));
}

/** s + x s (1 - s) u' */
// @ts-ignore: decorator
@inline
export function geluDerivative(x: v128): v128 {
  const one = constant(ONE);
  const decay = geluDecay(x);
  const s = f32x4.div(one, f32x4.add(one, decay));
  return fma(f32x4.mul(f32x4.mul(x, geluSlope(x)), s), f32x4.mul(decay, s), s);
}

/** 1 - tanh² x = 4 σ(2x) σ(-2x) */
// @ts-ignore: decorator
@inline
function tanhSlope(x: v128): v128 {
  const one = constant(ONE);
  const decay = exp4(f32x4.neg(f32x4.abs(f32x4.add(x, x))));
  const share = f32x4.div(one, f32x4.add(one, decay));
  return f32x4.mul(f32x4.splat(4), f32x4.mul(share, f32x4.mul(decay, share)));
}

/** Kinds as in UNARY_KINDS. Inlined with a constant kind: a call per vector, and a branch, would cost as much as the cheap kinds do. */
// @ts-ignore: decorator
@inline
function unaryValue(kind: u32, x: v128, a: v128, b: v128): v128 {
  switch (kind) {
    case 0: return fma(a, x, b);
    case 1: return exp4(x);
    case 2: return log4(x);
    case 3: return f32x4.mul(x, x);
    case 4: return f32x4.sqrt(x);
    case 5: return f32x4.div(constant(ONE), x);
    case 6: return f32x4.abs(x);
    case 7: return f32x4.min(f32x4.max(x, a), b);
    case 8: return sigmoid4(x);
    case 9: return f32x4.sub(f32x4.min(x, f32x4.splat(0)), log1p4(exp4(f32x4.neg(f32x4.abs(x)))));
    case 10: return silu(x);
    case 11: return gelu(x);
    case 12: return tanh4(x);
    case 13: return expm14(x);
    case 14: return log1mexp4(x);
    default: return softCap4(x, a);
  }
}

// @ts-ignore: decorator
@inline
function unaryGradient(kind: u32, dy: v128, x: v128, a: v128, b: v128): v128 {
  const one = constant(ONE);
  switch (kind) {
    case 0: return f32x4.mul(dy, a);
    case 1: return f32x4.mul(dy, exp4(x));
    case 2: return f32x4.div(dy, x);
    case 3: return f32x4.mul(dy, f32x4.add(x, x));
    case 4: return f32x4.div(f32x4.mul(dy, f32x4.splat(0.5)), f32x4.sqrt(x));
    case 5: return f32x4.neg(f32x4.div(dy, f32x4.mul(x, x)));
    case 6: {
      const signed = v128.xor(dy, v128.and(x, f32x4.splat(-0.0)));
      return v128.andnot(signed, f32x4.eq(x, f32x4.splat(0)));
    }
    case 7: return v128.and(dy, v128.and(f32x4.le(a, x), f32x4.le(x, b)));
    case 8: {
      const decay = decay4(x);
      const s = f32x4.div(one, f32x4.add(one, decay));
      return f32x4.mul(dy, f32x4.mul(s, f32x4.mul(decay, s)));
    }
    case 9: return f32x4.mul(dy, sigmoid4(f32x4.neg(x)));
    case 10: return f32x4.mul(dy, siluDerivative(x));
    case 11: return f32x4.mul(dy, geluDerivative(x));
    case 12: return f32x4.mul(dy, tanhSlope(x));
    case 13: return f32x4.mul(dy, exp4(x));
    // e^x / (1 - e^x) = 1 / (e^-x - 1)
    case 14: return f32x4.neg(f32x4.div(dy, expm14(f32x4.neg(x))));
    default: return f32x4.mul(dy, tanhSlope(f32x4.div(x, a)));
  }
}

// @ts-ignore: decorator
@inline
function unaryLoop(kind: u32, x: usize, y: usize, a: f32, b: f32, begin: u32, end: u32): void {
  const va = f32x4.splat(a);
  const vb = f32x4.splat(b);
  x += begin << 2;
  y += begin << 2;
  const count = end - begin;
  for (const stop = x + ((count & ~3) << 2); x < stop; x += 16, y += 16) v128.store(y, unaryValue(kind, v128.load(x), va, vb));
  if (count & 3) storeTail(y, unaryValue(kind, loadTail(x, count & 3), va, vb), count & 3);
}

export function unary_forward(x: usize, y: usize, N: u32, kind: u32, a: f32, b: f32, begin: u32, end: u32): void {
  switch (kind) {
    case 0: unaryLoop(0, x, y, a, b, begin, end); break;
    case 1: unaryLoop(1, x, y, a, b, begin, end); break;
    case 2: unaryLoop(2, x, y, a, b, begin, end); break;
    case 3: unaryLoop(3, x, y, a, b, begin, end); break;
    case 4: unaryLoop(4, x, y, a, b, begin, end); break;
    case 5: unaryLoop(5, x, y, a, b, begin, end); break;
    case 6: unaryLoop(6, x, y, a, b, begin, end); break;
    case 7: unaryLoop(7, x, y, a, b, begin, end); break;
    case 8: unaryLoop(8, x, y, a, b, begin, end); break;
    case 9: unaryLoop(9, x, y, a, b, begin, end); break;
    case 10: unaryLoop(10, x, y, a, b, begin, end); break;
    case 11: unaryLoop(11, x, y, a, b, begin, end); break;
    case 12: unaryLoop(12, x, y, a, b, begin, end); break;
    case 13: unaryLoop(13, x, y, a, b, begin, end); break;
    case 14: unaryLoop(14, x, y, a, b, begin, end); break;
    default: unaryLoop(15, x, y, a, b, begin, end);
  }
}

// @ts-ignore: decorator
@inline
function unaryGradientLoop(kind: u32, dy: usize, x: usize, dx: usize, a: f32, b: f32, begin: u32, end: u32): void {
  const va = f32x4.splat(a);
  const vb = f32x4.splat(b);
  let n = begin;
  for (; n + 4 <= end; n += 4) {
    v128.store(dx + (n << 2), unaryGradient(kind, v128.load(dy + (n << 2)), v128.load(x + (n << 2)), va, vb));
  }
  if (n < end) {
    storeTail(dx + (n << 2), unaryGradient(kind, loadTail(dy + (n << 2), end - n), loadTail(x + (n << 2), end - n), va, vb), end - n);
  }
}

export function unary_backward(dy: usize, x: usize, dx: usize, N: u32, kind: u32, a: f32, b: f32, begin: u32, end: u32): void {
  switch (kind) {
    case 0: unaryGradientLoop(0, dy, x, dx, a, b, begin, end); break;
    case 1: unaryGradientLoop(1, dy, x, dx, a, b, begin, end); break;
    case 2: unaryGradientLoop(2, dy, x, dx, a, b, begin, end); break;
    case 3: unaryGradientLoop(3, dy, x, dx, a, b, begin, end); break;
    case 4: unaryGradientLoop(4, dy, x, dx, a, b, begin, end); break;
    case 5: unaryGradientLoop(5, dy, x, dx, a, b, begin, end); break;
    case 6: unaryGradientLoop(6, dy, x, dx, a, b, begin, end); break;
    case 7: unaryGradientLoop(7, dy, x, dx, a, b, begin, end); break;
    case 8: unaryGradientLoop(8, dy, x, dx, a, b, begin, end); break;
    case 9: unaryGradientLoop(9, dy, x, dx, a, b, begin, end); break;
    case 10: unaryGradientLoop(10, dy, x, dx, a, b, begin, end); break;
    case 11: unaryGradientLoop(11, dy, x, dx, a, b, begin, end); break;
    case 12: unaryGradientLoop(12, dy, x, dx, a, b, begin, end); break;
    case 13: unaryGradientLoop(13, dy, x, dx, a, b, begin, end); break;
    case 14: unaryGradientLoop(14, dy, x, dx, a, b, begin, end); break;
    default: unaryGradientLoop(15, dy, x, dx, a, b, begin, end);
  }
}

/** Kinds as in BINARY_KINDS. */
// @ts-ignore: decorator
@inline
function binaryValue(kind: u32, x: v128, y: v128): v128 {
  switch (kind) {
    case 0: return f32x4.add(x, y);
    case 1: return f32x4.sub(x, y);
    case 2: return f32x4.mul(x, y);
    case 3: return f32x4.div(x, y);
    case 4: return f32x4.min(x, y);
    case 5: return f32x4.max(x, y);
    case 6: return v128.and(x, f32x4.ne(y, f32x4.splat(0)));
    default: return v128.and(f32x4.gt(x, y), constant(ONE));
  }
}

/** dz where the first operand wins, half of it on a tie, 0 where it loses. */
// @ts-ignore: decorator
@inline
function share(dz: v128, wins: v128, tie: v128): v128 {
  return v128.or(v128.and(dz, wins), v128.and(f32x4.mul(dz, f32x4.splat(0.5)), tie));
}

// @ts-ignore: decorator
@inline
function binaryGradientX(kind: u32, dz: v128, x: v128, y: v128): v128 {
  switch (kind) {
    case 0:
    case 1: return dz;
    case 2: return f32x4.mul(dz, y);
    case 3: return f32x4.div(dz, y);
    case 4: return share(dz, f32x4.lt(x, y), f32x4.eq(x, y));
    case 5: return share(dz, f32x4.gt(x, y), f32x4.eq(x, y));
    case 6: return v128.and(dz, f32x4.ne(y, f32x4.splat(0)));
    default: return f32x4.splat(0);
  }
}

// @ts-ignore: decorator
@inline
function binaryGradientY(kind: u32, dz: v128, x: v128, y: v128): v128 {
  switch (kind) {
    case 0: return dz;
    case 1: return f32x4.neg(dz);
    case 2: return f32x4.mul(dz, x);
    case 3: return f32x4.neg(f32x4.div(f32x4.mul(dz, f32x4.div(x, y)), y));
    case 4: return share(dz, f32x4.lt(y, x), f32x4.eq(x, y));
    case 5: return share(dz, f32x4.gt(y, x), f32x4.eq(x, y));
    default: return f32x4.splat(0);
  }
}

// @ts-ignore: decorator
@inline
function binaryLoop(kind: u32, x: usize, y: usize, z: usize, begin: u32, end: u32): void {
  let n = begin;
  for (; n + 4 <= end; n += 4) v128.store(z + (n << 2), binaryValue(kind, v128.load(x + (n << 2)), v128.load(y + (n << 2))));
  if (n < end) storeTail(z + (n << 2), binaryValue(kind, loadTail(x + (n << 2), end - n), loadTail(y + (n << 2), end - n)), end - n);
}

export function binary_forward(x: usize, y: usize, z: usize, N: u32, kind: u32, begin: u32, end: u32): void {
  switch (kind) {
    case 0: binaryLoop(0, x, y, z, begin, end); break;
    case 1: binaryLoop(1, x, y, z, begin, end); break;
    case 2: binaryLoop(2, x, y, z, begin, end); break;
    case 3: binaryLoop(3, x, y, z, begin, end); break;
    case 4: binaryLoop(4, x, y, z, begin, end); break;
    case 5: binaryLoop(5, x, y, z, begin, end); break;
    case 6: binaryLoop(6, x, y, z, begin, end); break;
    default: binaryLoop(7, x, y, z, begin, end);
  }
}

// @ts-ignore: decorator
@inline
function binaryGradientLoop(kind: u32, dz: usize, x: usize, y: usize, dx: usize, dy: usize, begin: u32, end: u32): void {
  let n = begin;
  for (; n + 4 <= end; n += 4) {
    const at: usize = n << 2;
    const g = v128.load(dz + at);
    const vx = v128.load(x + at);
    const vy = v128.load(y + at);
    v128.store(dx + at, binaryGradientX(kind, g, vx, vy));
    v128.store(dy + at, binaryGradientY(kind, g, vx, vy));
  }
  if (n < end) {
    const at: usize = n << 2;
    const count = end - n;
    const g = loadTail(dz + at, count);
    const vx = loadTail(x + at, count);
    const vy = loadTail(y + at, count);
    storeTail(dx + at, binaryGradientX(kind, g, vx, vy), count);
    storeTail(dy + at, binaryGradientY(kind, g, vx, vy), count);
  }
}

export function binary_backward(dz: usize, x: usize, y: usize, dx: usize, dy: usize, N: u32, kind: u32, begin: u32, end: u32): void {
  switch (kind) {
    case 0: binaryGradientLoop(0, dz, x, y, dx, dy, begin, end); break;
    case 1: binaryGradientLoop(1, dz, x, y, dx, dy, begin, end); break;
    case 2: binaryGradientLoop(2, dz, x, y, dx, dy, begin, end); break;
    case 3: binaryGradientLoop(3, dz, x, y, dx, dy, begin, end); break;
    case 4: binaryGradientLoop(4, dz, x, y, dx, dy, begin, end); break;
    case 5: binaryGradientLoop(5, dz, x, y, dx, dy, begin, end); break;
    case 6: binaryGradientLoop(6, dz, x, y, dx, dy, begin, end); break;
    default: binaryGradientLoop(7, dz, x, y, dx, dy, begin, end);
  }
}

export function accumulate_add(x: usize, y: usize, N: u32, begin: u32, end: u32): void {
  let n = begin;
  for (; n + 4 <= end; n += 4) v128.store(y + (n << 2), f32x4.add(v128.load(y + (n << 2)), v128.load(x + (n << 2))));
  if (n < end) storeTail(y + (n << 2), f32x4.add(loadTail(y + (n << 2), end - n), loadTail(x + (n << 2), end - n)), end - n);
}

export function fill_set(y: usize, N: u32, value: f32, begin: u32, end: u32): void {
  const v = f32x4.splat(value);
  let n = begin;
  for (; n + 4 <= end; n += 4) v128.store(y + (n << 2), v);
  if (n < end) storeTail(y + (n << 2), v, end - n);
}
