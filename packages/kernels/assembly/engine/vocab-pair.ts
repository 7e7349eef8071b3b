/**
 * Divergence of two distributions over the vocabulary and its gradient, from one chunk (rows, count) of each side's logits, which are
 * ordinary products. Items are rows, and a row's sums go on from chunk to chunk. Kinds: 0 for beta = 0, 1 for beta = 1, 2 between.
 */
import { exp1, exp4, expm14, expm1MinusSmall, HALF_LN2, loadTail, log1, log1p4, maxLanes, softCap4, storeTail, sumLanes } from "../lib/simd";

/** Logits of one partial sum: a sum of sums loses fewer digits than one long sum. */
const BLOCK: u32 = 1024;

/** All bits of the first `count` lanes. */
// @ts-ignore: decorator
@inline
function firstLanes(count: u32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
}

/** a log(a / b) - a + b with x = log(b / a): a (e^x - 1 - x), written so that neither overflows nor cancels. */
// @ts-ignore: decorator
@inline
function relativeEntropy(a: v128, b: v128, x: v128): v128 {
  const one = f32x4.splat(1);
  const magnitude = f32x4.abs(x);
  const decay = exp4(f32x4.neg(magnitude));
  const below = f32x4.mul(a, f32x4.sub(f32x4.sub(decay, one), x));
  const above = f32x4.mul(b, f32x4.sub(one, f32x4.mul(f32x4.add(one, x), decay)));
  const far = v128.bitselect(below, above, f32x4.lt(x, f32x4.splat(0)));
  return v128.bitselect(f32x4.mul(a, expm1MinusSmall(x)), far, f32x4.lt(magnitude, f32x4.splat(HALF_LN2)));
}

/** log(m / larger of p and q), where delta = log(p / q): the smaller one's follows by |delta|. */
// @ts-ignore: decorator
@inline
function logShare(delta: v128, beta: v128): v128 {
  const weight = v128.bitselect(beta, f32x4.sub(f32x4.splat(1), beta), f32x4.gt(delta, f32x4.splat(0)));
  return log1p4(f32x4.mul(weight, expm14(f32x4.neg(f32x4.abs(delta)))));
}

/** log(m / p) */
// @ts-ignore: decorator
@inline
function logMixtureOverP(delta: v128, share: v128): v128 {
  return f32x4.sub(share, f32x4.min(delta, f32x4.splat(0)));
}

/** log(m / q) */
// @ts-ignore: decorator
@inline
function logMixtureOverQ(delta: v128, share: v128): v128 {
  return f32x4.add(share, f32x4.max(delta, f32x4.splat(0)));
}

/** What a vocabulary entry adds to the divergence. */
// @ts-ignore: decorator
@inline
function divergenceTerm(kind: u32, p: v128, q: v128, delta: v128, share: v128, beta: v128): v128 {
  if (kind == 0) return relativeEntropy(q, p, delta);
  if (kind == 1) return relativeEntropy(p, q, f32x4.neg(delta));
  const rest = f32x4.sub(f32x4.splat(1), beta);
  const m = f32x4.add(f32x4.mul(rest, p), f32x4.mul(beta, q));
  const fromP = relativeEntropy(p, m, logMixtureOverP(delta, share));
  const fromQ = relativeEntropy(q, m, logMixtureOverQ(delta, share));
  return f32x4.add(f32x4.mul(rest, fromP), f32x4.mul(beta, fromQ));
}

/** p g of the contract. */
// @ts-ignore: decorator
@inline
function weightedSlope(kind: u32, p: v128, q: v128, delta: v128, share: v128, beta: v128): v128 {
  if (kind == 0) {
    // p - q: the larger one's share of it, with delta's sign
    const gap = f32x4.mul(f32x4.pmax(p, q), expm14(f32x4.neg(f32x4.abs(delta))));
    return v128.bitselect(gap, f32x4.neg(gap), f32x4.lt(delta, f32x4.splat(0)));
  }
  if (kind == 1) return f32x4.mul(p, delta);
  return f32x4.mul(p, f32x4.mul(f32x4.sub(beta, f32x4.splat(1)), logMixtureOverP(delta, share)));
}

/** Logits (rows, count) become cap tanh(z / cap). */
export function vocab_pair__cap(logits: usize, count: u32, cap: f32, begin: u32, end: u32): void {
  const vc = f32x4.splat(cap);
  const last = logits + ((end * count) << 2);
  let p = logits + ((begin * count) << 2);
  for (; p + 16 <= last; p += 16) v128.store(p, softCap4(v128.load(p), vc));
  const tail = <u32>(last - p) >>> 2;
  if (tail) storeTail(p, softCap4(loadTail(p, tail), vc), tail);
}

/** lse (rows) of the logits seen so far: this chunk's log Σ exp, joined to the earlier chunks' unless it is the first. */
export function vocab_pair_forward__normalise(logits: usize, lse: usize, count: u32, inverse_temperature: f32, isFirst: bool, begin: u32, end: u32): void {
  const row: usize = count << 2;
  const vt = f32x4.splat(inverse_temperature);
  const whole = count & ~3;
  const tail = count & 3;
  for (let n = begin; n < end; n++) {
    const from = logits + n * row;
    let highest = f32x4.splat(-Infinity);
    for (let j: u32 = 0; j < whole; j += 4) highest = f32x4.pmax(highest, f32x4.mul(v128.load(from + (j << 2)), vt));
    let peak = maxLanes(highest);
    for (let j = whole; j < count; j++) peak = max<f32>(peak, load<f32>(from + (j << 2)) * inverse_temperature);
    const top = f32x4.splat(peak);
    let total: f32 = 0;
    for (let j: u32 = 0; j < whole; ) {
      let s = f32x4.splat(0);
      for (const stop = min<u32>(whole, j + BLOCK); j < stop; j += 4) {
        s = f32x4.add(s, exp4(f32x4.sub(f32x4.mul(v128.load(from + (j << 2)), vt), top)));
      }
      total += sumLanes(s);
    }
    if (tail) {
      const e = exp4(f32x4.sub(f32x4.mul(loadTail(from + (whole << 2), tail), vt), top));
      total += sumLanes(v128.and(e, firstLanes(tail)));
    }
    let result = peak + log1(total);
    if (!isFirst) {
      const before = load<f32>(lse + (n << 2));
      const higher = max<f32>(before, result);
      result = higher + log1(exp1(before - higher) + exp1(result - higher));
    }
    store<f32>(lse + (n << 2), result);
  }
}

// @ts-ignore: decorator
@inline
function sums(kind: u32, z: usize, u: usize, lse: usize, fixedLse: usize, divergence: usize, centre: usize, count: u32, vt: v128, vs: v128, beta: v128, isFirst: bool, begin: u32, end: u32): void {
  const row: usize = count << 2;
  for (let n = begin; n < end; n++) {
    const at: usize = n << 2;
    const sum = v128.load32_splat(lse + at);
    const fixedSum = v128.load32_splat(fixedLse + at);
    const shift = f32x4.sub(sum, fixedSum);
    const zp = z + n * row;
    const up = u + n * row;
    let d: f32 = isFirst ? 0 : load<f32>(divergence + at);
    let c: f32 = isFirst ? 0 : load<f32>(centre + at);
    for (let j: u32 = 0; j < count; ) {
      let ds = f32x4.splat(0);
      let cs = f32x4.splat(0);
      for (const stop = min<u32>(count, j + BLOCK); j < stop; j += 4) {
        const left = count - j;
        const a = f32x4.mul(left >= 4 ? v128.load(zp + (j << 2)) : loadTail(zp + (j << 2), left), vt);
        const b = f32x4.mul(left >= 4 ? v128.load(up + (j << 2)) : loadTail(up + (j << 2), left), vs);
        const lanes = left >= 4 ? i32x4.splat(-1) : firstLanes(left);
        // The logits' difference first: for nearly equal sides it is exact.
        const delta = f32x4.sub(f32x4.sub(a, b), shift);
        const p = exp4(f32x4.sub(a, sum));
        const q = exp4(f32x4.sub(b, fixedSum));
        const share = kind == 2 ? logShare(delta, beta) : delta;
        ds = f32x4.add(ds, v128.and(divergenceTerm(kind, p, q, delta, share, beta), lanes));
        cs = f32x4.add(cs, v128.and(weightedSlope(kind, p, q, delta, share, beta), lanes));
      }
      d += sumLanes(ds);
      c += sumLanes(cs);
    }
    store<f32>(divergence + at, d);
    store<f32>(centre + at, c);
  }
}

/** divergence (rows) and centre (rows): this chunk's sums, added to the earlier chunks' unless it is the first. */
export function vocab_pair_forward__sums(z: usize, u: usize, lse: usize, fixedLse: usize, divergence: usize, centre: usize, count: u32, inverse_temperature: f32, fixed_inverse_temperature: f32, beta: f32, isFirst: bool, begin: u32, end: u32): void {
  const vt = f32x4.splat(inverse_temperature);
  const vs = f32x4.splat(fixed_inverse_temperature);
  const vb = f32x4.splat(beta);
  if (beta == 0) sums(0, z, u, lse, fixedLse, divergence, centre, count, vt, vs, vb, isFirst, begin, end);
  else if (beta == 1) sums(1, z, u, lse, fixedLse, divergence, centre, count, vt, vs, vb, isFirst, begin, end);
  else sums(2, z, u, lse, fixedLse, divergence, centre, count, vt, vs, vb, isFirst, begin, end);
}

export function vocab_pair_coefficients(ddivergence: usize, centre: usize, lse: usize, fixedLse: usize, coefficients: usize, N: u32, begin: u32, end: u32): void {
  for (let n = begin; n < end; n++) {
    const at: usize = n << 2;
    const out = coefficients + (n << 4);
    store<f32>(out, load<f32>(ddivergence + at));
    store<f32>(out, load<f32>(centre + at), 4);
    store<f32>(out, load<f32>(lse + at), 8);
    store<f32>(out, load<f32>(fixedLse + at), 12);
  }
}

// @ts-ignore: decorator
@inline
function gradients(kind: u32, coefficients: usize, z: usize, u: usize, count: u32, vt: v128, vs: v128, inverseCap: v128, beta: v128, begin: u32, end: u32): void {
  const one = f32x4.splat(1);
  const row: usize = count << 2;
  for (let n = begin; n < end; n++) {
    const from = coefficients + (n << 4);
    const g = f32x4.mul(v128.load32_splat(from), vt);
    const centre = v128.load32_splat(from, 4);
    const sum = v128.load32_splat(from, 8);
    const fixedSum = v128.load32_splat(from, 12);
    const shift = f32x4.sub(sum, fixedSum);
    const zp = z + n * row;
    const up = u + n * row;
    for (let j: u32 = 0; j < count; j += 4) {
      const left = count - j;
      const capped = left >= 4 ? v128.load(zp + (j << 2)) : loadTail(zp + (j << 2), left);
      const a = f32x4.mul(capped, vt);
      const b = f32x4.mul(left >= 4 ? v128.load(up + (j << 2)) : loadTail(up + (j << 2), left), vs);
      const delta = f32x4.sub(f32x4.sub(a, b), shift);
      const p = exp4(f32x4.sub(a, sum));
      const q = exp4(f32x4.sub(b, fixedSum));
      const share = kind == 2 ? logShare(delta, beta) : delta;
      const part = f32x4.mul(capped, inverseCap);
      const slope = f32x4.sub(one, f32x4.mul(part, part));
      const dz = f32x4.mul(f32x4.mul(g, slope), f32x4.sub(weightedSlope(kind, p, q, delta, share, beta), f32x4.mul(p, centre)));
      if (left >= 4) v128.store(zp + (j << 2), dz);
      else storeTail(zp + (j << 2), dz, left);
    }
  }
}

/** Capped logits z (rows, count) become inverse_temperature · dz: what both gradients are products with. cap 0 is no cap. */
export function vocab_pair_backward__gradients(coefficients: usize, z: usize, u: usize, count: u32, inverse_temperature: f32, fixed_inverse_temperature: f32, cap: f32, beta: f32, begin: u32, end: u32): void {
  const vt = f32x4.splat(inverse_temperature);
  const vs = f32x4.splat(fixed_inverse_temperature);
  const vi = f32x4.splat(cap > 0 ? 1 / cap : 0);
  const vb = f32x4.splat(beta);
  if (beta == 0) gradients(0, coefficients, z, u, count, vt, vs, vi, vb, begin, end);
  else if (beta == 1) gradients(1, coefficients, z, u, count, vt, vs, vi, vb, begin, end);
  else gradients(2, coefficients, z, u, count, vt, vs, vi, vb, begin, end);
}
