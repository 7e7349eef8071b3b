/**
 * RMS norm: y = w · x · rstd, rstd = 1 / √(mean(x²) + eps). Items are rows, or blocks of rows. Rows are taken two at a time, as in layer-norm.ts, for
 * the same reasons.
 */
import { first, laneSquares, second, sumPair } from "../lib/lane-sums";
import { threadScratch } from "../lib/scratch";
import { constant, fma, loadTail, ONE, storeTail, sumLanes } from "../lib/simd";

/** y and rstd of `rows` rows of C channels that follow each other. */
export function forwardRows(x: usize, w: usize, y: usize, rstd: usize, rows: u32, C: u32, eps: f32): void {
  const row: usize = C << 2;
  const size = f32x4.splat(<f32>C);
  const tail = C & 3;
  for (let n: u32 = 0; n < rows; n += 2) {
    // The last row is taken with itself where there is no other.
    const step = n + 1 < rows ? row : 0;
    let x0 = x + n * row, y0 = y + n * row;
    let x1 = x0 + step, y1 = y0 + step;
    const squares = f32x4.div(sumPair(laneSquares(x0, C), laneSquares(x1, C)), size);
    const rstds = f32x4.div(constant(ONE), f32x4.sqrt(f32x4.add(squares, f32x4.splat(eps))));
    store<f32>(rstd + (n << 2), f32x4.extract_lane(rstds, 0));
    if (step) store<f32>(rstd + (n << 2), f32x4.extract_lane(rstds, 1), 4);
    const r0 = first(rstds), r1 = second(rstds);
    let wp = w;
    for (const stop = x0 + ((C & ~7) << 2); x0 < stop; x0 += 32, x1 += 32, y0 += 32, y1 += 32, wp += 32) {
      const a0 = v128.load(x0), a1 = v128.load(x1), c0 = v128.load(x0, 16), c1 = v128.load(x1, 16);
      const w0 = v128.load(wp), w1 = v128.load(wp, 16);
      v128.store(y0, f32x4.mul(f32x4.mul(a0, r0), w0));
      v128.store(y1, f32x4.mul(f32x4.mul(a1, r1), w0));
      v128.store(y0, f32x4.mul(f32x4.mul(c0, r0), w1), 16);
      v128.store(y1, f32x4.mul(f32x4.mul(c1, r1), w1), 16);
    }
    if (C & 4) {
      const w0 = v128.load(wp);
      v128.store(y0, f32x4.mul(f32x4.mul(v128.load(x0), r0), w0));
      v128.store(y1, f32x4.mul(f32x4.mul(v128.load(x1), r1), w0));
      x0 += 16; x1 += 16; y0 += 16; y1 += 16; wp += 16;
    }
    if (tail) {
      const w0 = loadTail(wp, tail);
      storeTail(y0, f32x4.mul(f32x4.mul(loadTail(x0, tail), r0), w0), tail);
      storeTail(y1, f32x4.mul(f32x4.mul(loadTail(x1, tail), r1), w0), tail);
    }
  }
}

export function rms_norm_forward(x: usize, w: usize, y: usize, rstd: usize, N: u32, C: u32, eps: f32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  forwardRows(x + begin * row, w, y + begin * row, rstd + (begin << 2), end - begin, C, eps);
}

/** Σ w dy x */
function gradientSum(dy: usize, x: usize, w: usize, C: u32): f32 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (const end = x + ((C & ~15) << 2); x < end; x += 64, dy += 64, w += 64) {
    s0 = fma(f32x4.mul(v128.load(dy), v128.load(w)), v128.load(x), s0);
    s1 = fma(f32x4.mul(v128.load(dy, 16), v128.load(w, 16)), v128.load(x, 16), s1);
    s2 = fma(f32x4.mul(v128.load(dy, 32), v128.load(w, 32)), v128.load(x, 32), s2);
    s3 = fma(f32x4.mul(v128.load(dy, 48), v128.load(w, 48)), v128.load(x, 48), s3);
  }
  for (const end = x + ((C & 12) << 2); x < end; x += 16, dy += 16, w += 16) s0 = fma(f32x4.mul(v128.load(dy), v128.load(w)), v128.load(x), s0);
  if (C & 3) s1 = fma(f32x4.mul(loadTail(dy, C & 3), loadTail(w, C & 3)), loadTail(x, C & 3), s1);
  return sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
}

/** Per vector of channels: w and the sum of dw so far, side by side in thread scratch, so that one address serves both. */
const PAIR: usize = 32;

/** Bytes of scratch for a weight of C channels. */
export function gradientBytes(C: u32): usize {
  return <usize>((C + 3) >> 2) * PAIR;
}

/** Fills `sums` for {@link backwardRows}: w (C), and nothing summed. */
export function beginGradient(w: usize, sums: usize, C: u32): void {
  const zero = f32x4.splat(0);
  let c: u32 = 0;
  for (; c + 4 <= C; c += 4, sums += PAIR) {
    v128.store(sums, v128.load(w + (c << 2)));
    v128.store(sums, zero, 16);
  }
  if (c < C) {
    v128.store(sums, loadTail(w + (c << 2), C - c));
    v128.store(sums, zero, 16);
  }
}

/** dw (C) = what was summed. */
export function endGradient(sums: usize, dw: usize, C: u32): void {
  let c: u32 = 0;
  for (; c + 4 <= C; c += 4, sums += PAIR) v128.store(dw + (c << 2), v128.load(sums, 16));
  if (c < C) storeTail(dw + (c << 2), v128.load(sums, 16), C - c);
}

/**
 * dx = r (w dy - x̂ mean(w dy x̂)) and dw += dy x̂, x̂ = x r: of one row, or of two that follow each other. `isPair` is constant.
 * With t = r dy, dx = slope x + w t and dy x̂ = t x. Rows are loaded before anything is stored, as in layer-norm.ts.
 */
// @ts-ignore: decorator
@inline
function backwardPair(isPair: bool, dy: usize, x: usize, w: usize, sums: usize, dx: usize, kept: v128, C: u32, rstd: usize): void {
  const row: usize = C << 2;
  const rstd0 = load<f32>(rstd), rstd1 = isPair ? load<f32>(rstd, 4) : rstd0;
  const sum0 = gradientSum(dy, x, w, C), sum1 = isPair ? gradientSum(dy + row, x + row, w, C) : sum0;
  const r0 = f32x4.splat(rstd0), r1 = f32x4.splat(rstd1);
  const slope0 = f32x4.splat(-(sum0 * rstd0 * rstd0 * rstd0) / <f32>C), slope1 = f32x4.splat(-(sum1 * rstd1 * rstd1 * rstd1) / <f32>C);
  for (const end = x + ((C & ~3) << 2); x < end; x += 16, dy += 16, dx += 16, sums += PAIR) {
    const t0 = f32x4.mul(v128.load(dy), r0), x0 = v128.load(x);
    if (isPair) {
      const t1 = f32x4.mul(v128.load(dy + row), r1), x1 = v128.load(x + row);
      v128.store(sums, fma(t1, x1, fma(t0, x0, v128.load(sums, 16))), 16);
      const vw = v128.load(sums);
      const d0 = v128.and(v128.load(dx), kept), d1 = v128.and(v128.load(dx + row), kept);
      v128.store(dx, f32x4.add(d0, fma(x0, slope0, f32x4.mul(t0, vw))));
      v128.store(dx + row, f32x4.add(d1, fma(x1, slope1, f32x4.mul(t1, vw))));
    } else {
      v128.store(sums, fma(t0, x0, v128.load(sums, 16)), 16);
      v128.store(dx, f32x4.add(v128.and(v128.load(dx), kept), fma(x0, slope0, f32x4.mul(t0, v128.load(sums)))));
    }
  }
  const tail = C & 3;
  if (tail) {
    const vw = v128.load(sums);
    const t0 = f32x4.mul(loadTail(dy, tail), r0), x0 = loadTail(x, tail);
    storeTail(dx, f32x4.add(v128.and(loadTail(dx, tail), kept), fma(x0, slope0, f32x4.mul(t0, vw))), tail);
    let sum = fma(t0, x0, v128.load(sums, 16));
    if (isPair) {
      const t1 = f32x4.mul(loadTail(dy + row, tail), r1), x1 = loadTail(x + row, tail);
      storeTail(dx + row, f32x4.add(v128.and(loadTail(dx + row, tail), kept), fma(x1, slope1, f32x4.mul(t1, vw))), tail);
      sum = fma(t1, x1, sum);
    }
    v128.store(sums, sum, 16);
  }
}

/** dx (added to where `accumulate` is 1, not where it is 0) of `rows` rows of C channels that follow each other; their share of dw is added to `sums`, row by row. */
export function backwardRows(dy: usize, x: usize, w: usize, rstd: usize, sums: usize, dx: usize, accumulate: u32, rows: u32, C: u32): void {
  const kept = i32x4.splat(-accumulate);
  const row: usize = C << 2;
  let n: u32 = 0;
  for (; n + 2 <= rows; n += 2) backwardPair(true, dy + n * row, x + n * row, w, sums, dx + n * row, kept, C, rstd + (n << 2));
  if (n < rows) backwardPair(false, dy + n * row, x + n * row, w, sums, dx + n * row, kept, C, rstd + (n << 2));
}

/** Items are blocks of `block` rows; block i leaves its share of dw in partials (items, C). */
export function rms_norm_backward__rows(dy: usize, x: usize, w: usize, rstd: usize, dx: usize, partials: usize, N: u32, C: u32, accumulate: u32, block: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  const sums = threadScratch();
  for (let i = begin; i < end; i++) {
    const n = i * block;
    beginGradient(w, sums, C);
    backwardRows(dy + n * row, x + n * row, w, rstd + (n << 2), sums, dx + n * row, accumulate, min<u32>(block, N - n), C);
    endGradient(sums, partials + i * row, C);
  }
}
