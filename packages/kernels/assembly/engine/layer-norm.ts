/**
 * Layer norm: y = w (x - mean) rstd + b. Items are rows, or blocks of rows.
 *
 * Rows are taken two at a time, so that w, b and sums over rows are read once for both, and one row's arithmetic fills the other's waits. What a row
 * gets does not depend on the row it is taken with.
 */
import { deviationsOfRows, first, laneSums, second, sumPair } from "../lib/lane-sums";
import { threadScratch } from "../lib/scratch";
import { constant, fma, loadTail, ONE, storeTail } from "../lib/simd";

// @ts-ignore: decorator
@inline
function normalized(x: v128, m: v128, r: v128, w: v128, b: v128): v128 {
  return fma(f32x4.mul(f32x4.sub(x, m), r), w, b);
}

export function layer_norm_forward(x: usize, w: usize, b: usize, y: usize, mean: usize, rstd: usize, N: u32, C: u32, eps: f32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  const size = f32x4.splat(<f32>C);
  const tail = C & 3;
  for (let n = begin; n < end; n += 2) {
    // The last row is taken with itself where there is no other.
    const step = n + 1 < end ? row : 0;
    let x0 = x + n * row, y0 = y + n * row;
    let x1 = x0 + step, y1 = y0 + step;
    const means = f32x4.div(sumPair(laneSums(x0, C), laneSums(x1, C)), size);
    const variances = f32x4.div(deviationsOfRows(x0, x1, C, means), size);
    const rstds = f32x4.div(constant(ONE), f32x4.sqrt(f32x4.add(variances, f32x4.splat(eps))));
    store<f32>(mean + (n << 2), f32x4.extract_lane(means, 0));
    store<f32>(rstd + (n << 2), f32x4.extract_lane(rstds, 0));
    if (step) {
      store<f32>(mean + (n << 2), f32x4.extract_lane(means, 1), 4);
      store<f32>(rstd + (n << 2), f32x4.extract_lane(rstds, 1), 4);
    }
    const m0 = first(means), m1 = second(means), r0 = first(rstds), r1 = second(rstds);
    let wp = w, bp = b;
    for (const stop = x0 + ((C & ~7) << 2); x0 < stop; x0 += 32, x1 += 32, y0 += 32, y1 += 32, wp += 32, bp += 32) {
      // Loads before stores: rows of a power of two of channels share their low address bits, and a load waits for a store that shares its own.
      const a0 = v128.load(x0), a1 = v128.load(x1), c0 = v128.load(x0, 16), c1 = v128.load(x1, 16);
      const w0 = v128.load(wp), b0 = v128.load(bp), w1 = v128.load(wp, 16), b1 = v128.load(bp, 16);
      v128.store(y0, normalized(a0, m0, r0, w0, b0));
      v128.store(y1, normalized(a1, m1, r1, w0, b0));
      v128.store(y0, normalized(c0, m0, r0, w1, b1), 16);
      v128.store(y1, normalized(c1, m1, r1, w1, b1), 16);
    }
    if (C & 4) {
      const w0 = v128.load(wp), b0 = v128.load(bp);
      v128.store(y0, normalized(v128.load(x0), m0, r0, w0, b0));
      v128.store(y1, normalized(v128.load(x1), m1, r1, w0, b0));
      x0 += 16; x1 += 16; y0 += 16; y1 += 16; wp += 16; bp += 16;
    }
    if (tail) {
      const w0 = loadTail(wp, tail), b0 = loadTail(bp, tail);
      storeTail(y0, normalized(loadTail(x0, tail), m0, r0, w0, b0), tail);
      storeTail(y1, normalized(loadTail(x1, tail), m1, r1, w0, b0), tail);
    }
  }
}

/** Σ w dy and Σ w dy (x - mean) of a row, in lanes 0 and 1. */
function gradientSums(dy: usize, x: usize, w: usize, C: u32, mean: f32): v128 {
  const m = f32x4.splat(mean);
  let s0 = f32x4.splat(0), s1 = s0, t0 = s0, t1 = s0;
  for (const end = x + ((C & ~7) << 2); x < end; x += 32, dy += 32, w += 32) {
    const g0 = f32x4.mul(v128.load(dy), v128.load(w)), g1 = f32x4.mul(v128.load(dy, 16), v128.load(w, 16));
    s0 = f32x4.add(s0, g0);
    t0 = fma(g0, f32x4.sub(v128.load(x), m), t0);
    s1 = f32x4.add(s1, g1);
    t1 = fma(g1, f32x4.sub(v128.load(x, 16), m), t1);
  }
  if (C & 4) {
    const g0 = f32x4.mul(v128.load(dy), v128.load(w));
    s0 = f32x4.add(s0, g0);
    t0 = fma(g0, f32x4.sub(v128.load(x), m), t0);
    x += 16; dy += 16; w += 16;
  }
  if (C & 3) {
    const g1 = f32x4.mul(loadTail(dy, C & 3), loadTail(w, C & 3));
    s1 = f32x4.add(s1, g1);
    t1 = fma(g1, f32x4.sub(loadTail(x, C & 3), m), t1);
  }
  return sumPair(f32x4.add(s0, s1), f32x4.add(t0, t1));
}

/** Per vector of channels: w and the sums of dw and db so far, side by side in thread scratch, so that one address serves all three. */
const TRIPLE: usize = 48;

/**
 * dx = r (g - mean(g) - x̂ mean(g x̂)), g = w dy, and dw += dy x̂, db += dy: of one row, or of two that follow each other. `isPair` is constant;
 * `kept` is all ones where dx is added to, and zero where it is overwritten.
 * With h = x - mean and t = r dy, dx = slope h + (w t + offset) and dy x̂ = t h. Rows are loaded before anything is stored, as above.
 */
// @ts-ignore: decorator
@inline
function backwardRows(isPair: bool, dy: usize, x: usize, w: usize, triples: usize, dx: usize, kept: v128, C: u32, mean: usize, rstd: usize): void {
  const row: usize = C << 2;
  const share: f32 = -1 / <f32>C;
  const mean0 = load<f32>(mean), mean1 = isPair ? load<f32>(mean, 4) : mean0;
  const rstd0 = load<f32>(rstd), rstd1 = isPair ? load<f32>(rstd, 4) : rstd0;
  const sums0 = gradientSums(dy, x, w, C, mean0), sums1 = isPair ? gradientSums(dy + row, x + row, w, C, mean1) : sums0;
  const m0 = f32x4.splat(mean0), m1 = f32x4.splat(mean1);
  const r0 = f32x4.splat(rstd0), r1 = f32x4.splat(rstd1);
  const offset0 = f32x4.splat(f32x4.extract_lane(sums0, 0) * rstd0 * share), offset1 = f32x4.splat(f32x4.extract_lane(sums1, 0) * rstd1 * share);
  const slope0 = f32x4.splat(f32x4.extract_lane(sums0, 1) * rstd0 * share * rstd0 * rstd0), slope1 = f32x4.splat(f32x4.extract_lane(sums1, 1) * rstd1 * share * rstd1 * rstd1);
  for (const end = x + ((C & ~3) << 2); x < end; x += 16, dy += 16, dx += 16, triples += TRIPLE) {
    const g0 = v128.load(dy), x0 = v128.load(x);
    if (isPair) {
      const g1 = v128.load(dy + row), x1 = v128.load(x + row);
      v128.store(triples, f32x4.add(g1, f32x4.add(g0, v128.load(triples, 32))), 32);
      const t0 = f32x4.mul(g0, r0), h0 = f32x4.sub(x0, m0), t1 = f32x4.mul(g1, r1), h1 = f32x4.sub(x1, m1);
      v128.store(triples, fma(t1, h1, fma(t0, h0, v128.load(triples, 16))), 16);
      const vw = v128.load(triples);
      const d0 = v128.and(v128.load(dx), kept), d1 = v128.and(v128.load(dx + row), kept);
      v128.store(dx, f32x4.add(d0, fma(h0, slope0, fma(t0, vw, offset0))));
      v128.store(dx + row, f32x4.add(d1, fma(h1, slope1, fma(t1, vw, offset1))));
    } else {
      v128.store(triples, f32x4.add(g0, v128.load(triples, 32)), 32);
      const t0 = f32x4.mul(g0, r0), h0 = f32x4.sub(x0, m0);
      v128.store(triples, fma(t0, h0, v128.load(triples, 16)), 16);
      v128.store(dx, f32x4.add(v128.and(v128.load(dx), kept), fma(h0, slope0, fma(t0, v128.load(triples), offset0))));
    }
  }
  const tail = C & 3;
  if (tail) {
    const vw = v128.load(triples);
    const g0 = loadTail(dy, tail), t0 = f32x4.mul(g0, r0), h0 = f32x4.sub(loadTail(x, tail), m0);
    storeTail(dx, f32x4.add(v128.and(loadTail(dx, tail), kept), fma(h0, slope0, fma(t0, vw, offset0))), tail);
    let sw = fma(t0, h0, v128.load(triples, 16));
    let sb = f32x4.add(g0, v128.load(triples, 32));
    if (isPair) {
      const g1 = loadTail(dy + row, tail), t1 = f32x4.mul(g1, r1), h1 = f32x4.sub(loadTail(x + row, tail), m1);
      storeTail(dx + row, f32x4.add(v128.and(loadTail(dx + row, tail), kept), fma(h1, slope1, fma(t1, vw, offset1))), tail);
      sw = fma(t1, h1, sw);
      sb = f32x4.add(g1, sb);
    }
    v128.store(triples, sw, 16);
    v128.store(triples, sb, 32);
  }
}

/** Items are blocks of rows whose shares of dw and db go to partials. */
export function layer_norm_backward__rows(dy: usize, x: usize, w: usize, mean: usize, rstd: usize, dx: usize, partialsW: usize, partialsB: usize, N: u32, C: u32, accumulate: u32, block: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  const whole: usize = (C & ~3) << 2;
  const tail = C & 3;
  const triples = threadScratch();
  const kept = i32x4.splat(-accumulate);
  const zero = f32x4.splat(0);
  for (let i = begin; i < end; i++) {
    let p = triples;
    for (let c: usize = 0; c < row; c += 16, p += TRIPLE) {
      v128.store(p, c < whole ? v128.load(w + c) : loadTail(w + c, tail));
      v128.store(p, zero, 16);
      v128.store(p, zero, 32);
    }
    const last = min<u32>(N, (i + 1) * block);
    let n = i * block;
    for (; n + 2 <= last; n += 2) backwardRows(true, dy + n * row, x + n * row, w, triples, dx + n * row, kept, C, mean + (n << 2), rstd + (n << 2));
    if (n < last) backwardRows(false, dy + n * row, x + n * row, w, triples, dx + n * row, kept, C, mean + (n << 2), rstd + (n << 2));
    const dw = partialsW + i * row;
    const db = partialsB + i * row;
    p = triples;
    for (let c: usize = 0; c < whole; c += 16, p += TRIPLE) {
      v128.store(dw + c, v128.load(p, 16));
      v128.store(db + c, v128.load(p, 32));
    }
    if (tail) {
      storeTail(dw + whole, v128.load(p, 16), tail);
      storeTail(db + whole, v128.load(p, 32), tail);
    }
  }
}
