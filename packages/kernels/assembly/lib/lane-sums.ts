/** Sums along rows. Each is four chains, added in a fixed order at the end, because an addition waits for the one before it. */
import { fma, loadTail } from "./simd";

/** The sums of the lanes of a and of b, in lanes 0 and 1. */
// @ts-ignore: decorator
@inline
export function sumPair(a: v128, b: v128): v128 {
  const halves = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  return f32x4.add(halves, v128.shuffle<f32>(halves, halves, 2, 3, 2, 3));
}

/** Lane 0, or lane 1, in all lanes. */
// @ts-ignore: decorator
@inline
export function first(v: v128): v128 {
  return v128.shuffle<f32>(v, v, 0, 0, 0, 0);
}
// @ts-ignore: decorator
@inline
export function second(v: v128): v128 {
  return v128.shuffle<f32>(v, v, 1, 1, 1, 1);
}

/** Σ x of a row, in four lanes. */
// @ts-ignore: decorator
@inline
export function laneSums(x: usize, C: u32): v128 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (const end = x + ((C & ~15) << 2); x < end; x += 64) {
    s0 = f32x4.add(s0, v128.load(x));
    s1 = f32x4.add(s1, v128.load(x, 16));
    s2 = f32x4.add(s2, v128.load(x, 32));
    s3 = f32x4.add(s3, v128.load(x, 48));
  }
  for (const end = x + ((C & 12) << 2); x < end; x += 16) s0 = f32x4.add(s0, v128.load(x));
  if (C & 3) s1 = f32x4.add(s1, loadTail(x, C & 3));
  return f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
}

// @ts-ignore: decorator
@inline
function addSquare(s: v128, x: v128): v128 {
  return fma(x, x, s);
}

/** Σ x² of a row, in four lanes. */
// @ts-ignore: decorator
@inline
export function laneSquares(x: usize, C: u32): v128 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (const end = x + ((C & ~15) << 2); x < end; x += 64) {
    s0 = addSquare(s0, v128.load(x));
    s1 = addSquare(s1, v128.load(x, 16));
    s2 = addSquare(s2, v128.load(x, 32));
    s3 = addSquare(s3, v128.load(x, 48));
  }
  for (const end = x + ((C & 12) << 2); x < end; x += 16) s0 = addSquare(s0, v128.load(x));
  if (C & 3) s1 = addSquare(s1, loadTail(x, C & 3));
  return f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
}

/** Σ (x - mean)² of two rows, of which one may be the other; means and sums in lanes 0 and 1. */
// @ts-ignore: decorator
@inline
export function deviationsOfRows(x0: usize, x1: usize, C: u32, means: v128): v128 {
  const m = first(means), n = second(means);
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
  for (const end = x0 + ((C & ~15) << 2); x0 < end; x0 += 64, x1 += 64) {
    s0 = addSquare(s0, f32x4.sub(v128.load(x0), m));
    s1 = addSquare(s1, f32x4.sub(v128.load(x0, 16), m));
    s2 = addSquare(s2, f32x4.sub(v128.load(x0, 32), m));
    s3 = addSquare(s3, f32x4.sub(v128.load(x0, 48), m));
    t0 = addSquare(t0, f32x4.sub(v128.load(x1), n));
    t1 = addSquare(t1, f32x4.sub(v128.load(x1, 16), n));
    t2 = addSquare(t2, f32x4.sub(v128.load(x1, 32), n));
    t3 = addSquare(t3, f32x4.sub(v128.load(x1, 48), n));
  }
  for (const end = x0 + ((C & 12) << 2); x0 < end; x0 += 16, x1 += 16) {
    s0 = addSquare(s0, f32x4.sub(v128.load(x0), m));
    t0 = addSquare(t0, f32x4.sub(v128.load(x1), n));
  }
  if (C & 3) {
    const isThere = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(C & 3));
    s1 = addSquare(s1, v128.and(f32x4.sub(loadTail(x0, C & 3), m), isThere));
    t1 = addSquare(t1, v128.and(f32x4.sub(loadTail(x1, C & 3), n), isThere));
  }
  return sumPair(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)), f32x4.add(f32x4.add(t0, t1), f32x4.add(t2, t3)));
}
