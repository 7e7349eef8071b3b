/** RMS norm: y = w · x · rstd, rstd = 1 / √(mean(x²) + eps). Items are rows, or blocks of rows. */
import { dot, fma, loadTail, storeTail, sumLanes } from "../lib/simd";

/** y (C) = w · x · r */
export function scaleRow(x: usize, w: usize, y: usize, C: u32, r: f32): void {
  const vr = f32x4.splat(r);
  const whole: usize = (C & ~3) << 2;
  let c: usize = 0;
  for (; c < whole; c += 16) v128.store(y + c, f32x4.mul(f32x4.mul(v128.load(x + c), vr), v128.load(w + c)));
  if (C & 3) storeTail(y + c, f32x4.mul(f32x4.mul(loadTail(x + c, C & 3), vr), loadTail(w + c, C & 3)), C & 3);
}

export function rootMeanSquare(x: usize, C: u32, eps: f32): f32 {
  return 1 / sqrt<f32>(dot(x, x, C) / <f32>C + eps);
}

export function rms_norm_forward(x: usize, w: usize, y: usize, rstd: usize, N: u32, C: u32, eps: f32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  for (let n = begin; n < end; n++) {
    const r = rootMeanSquare(x + n * row, C, eps);
    store<f32>(rstd + (n << 2), r);
    scaleRow(x + n * row, w, y + n * row, C, r);
  }
}

/** dx = r (w dy - x̂ mean(w dy x̂)) and partial += dy x̂, x̂ = x r, for one row. */
export function backwardRow(dy: usize, x: usize, w: usize, dx: usize, partial: usize, C: u32, r: f32): void {
  const whole: usize = (C & ~3) << 2;
  const tail = C & 3;
  let s0 = f32x4.splat(0);
  let c: usize = 0;
  for (; c < whole; c += 16) s0 = fma(f32x4.mul(v128.load(dy + c), v128.load(w + c)), v128.load(x + c), s0);
  if (tail) s0 = fma(f32x4.mul(loadTail(dy + c, tail), loadTail(w + c, tail)), loadTail(x + c, tail), s0);
  const vr = f32x4.splat(r);
  const pull = f32x4.splat(-(sumLanes(s0) * r * r * r) / <f32>C);
  for (c = 0; c < whole; c += 16) {
    const g = f32x4.mul(v128.load(dy + c), vr);
    const vx = v128.load(x + c);
    v128.store(dx + c, fma(vx, pull, f32x4.mul(g, v128.load(w + c))));
    v128.store(partial + c, fma(g, vx, v128.load(partial + c)));
  }
  if (tail) {
    const g = f32x4.mul(loadTail(dy + c, tail), vr);
    const vx = loadTail(x + c, tail);
    storeTail(dx + c, fma(vx, pull, f32x4.mul(g, loadTail(w + c, tail))), tail);
    storeTail(partial + c, fma(g, vx, loadTail(partial + c, tail)), tail);
  }
}

/** Items are blocks of `block` rows; block i leaves its share of dw in partials (items, C). */
export function rms_norm_backward__rows(dy: usize, x: usize, w: usize, rstd: usize, dx: usize, partials: usize, N: u32, C: u32, block: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  for (let i = begin; i < end; i++) {
    const partial = partials + i * row;
    memory.fill(partial, 0, row);
    const last = min<u32>(N, (i + 1) * block);
    for (let n = i * block; n < last; n++) {
      backwardRow(dy + n * row, x + n * row, w, dx + n * row, partial, C, load<f32>(rstd + (n << 2)));
    }
  }
}
