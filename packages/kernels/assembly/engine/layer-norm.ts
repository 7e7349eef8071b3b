/** Layer norm: y = w (x - mean) rstd + b. Items are rows, or blocks of rows. */
import { fma, loadTail, storeTail, sum, sumLanes } from "../lib/simd";

/** Σ (x - mean)² */
function squaredDeviations(x: usize, C: u32, mean: f32): f32 {
  const vm = f32x4.splat(mean);
  const whole: usize = (C & ~3) << 2;
  let s = f32x4.splat(0);
  let c: usize = 0;
  for (; c < whole; c += 16) {
    const d = f32x4.sub(v128.load(x + c), vm);
    s = fma(d, d, s);
  }
  let total = sumLanes(s);
  for (const end: usize = C << 2; c < end; c += 4) {
    const d = load<f32>(x + c) - mean;
    total += d * d;
  }
  return total;
}

export function layer_norm_forward(x: usize, w: usize, b: usize, y: usize, mean: usize, rstd: usize, N: u32, C: u32, eps: f32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  const whole: usize = (C & ~3) << 2;
  const tail = C & 3;
  for (let n = begin; n < end; n++) {
    const xp = x + n * row;
    const yp = y + n * row;
    const m = sum(xp, C) / <f32>C;
    const r: f32 = 1 / sqrt<f32>(squaredDeviations(xp, C, m) / <f32>C + eps);
    store<f32>(mean + (n << 2), m);
    store<f32>(rstd + (n << 2), r);
    const vm = f32x4.splat(m);
    const vr = f32x4.splat(r);
    let c: usize = 0;
    for (; c < whole; c += 16) {
      v128.store(yp + c, fma(f32x4.mul(f32x4.sub(v128.load(xp + c), vm), vr), v128.load(w + c), v128.load(b + c)));
    }
    if (tail) {
      storeTail(yp + c, fma(f32x4.mul(f32x4.sub(loadTail(xp + c, tail), vm), vr), loadTail(w + c, tail), loadTail(b + c, tail)), tail);
    }
  }
}

/** dx = r (g - mean(g) - x̂ mean(g x̂)), g = w dy; items are blocks of rows whose shares of dw and db go to partials. */
export function layer_norm_backward__rows(dy: usize, x: usize, w: usize, mean: usize, rstd: usize, dx: usize, partialsW: usize, partialsB: usize, N: u32, C: u32, block: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  const whole: usize = (C & ~3) << 2;
  const tail = C & 3;
  for (let i = begin; i < end; i++) {
    const dw = partialsW + i * row;
    const db = partialsB + i * row;
    memory.fill(dw, 0, row);
    memory.fill(db, 0, row);
    const last = min<u32>(N, (i + 1) * block);
    for (let n = i * block; n < last; n++) {
      const gp = dy + n * row;
      const xp = x + n * row;
      const out = dx + n * row;
      const vm = f32x4.splat(load<f32>(mean + (n << 2)));
      const r = load<f32>(rstd + (n << 2));
      const vr = f32x4.splat(r);
      let s = f32x4.splat(0);
      let sx = s;
      let c: usize = 0;
      for (; c < whole; c += 16) {
        const g = f32x4.mul(v128.load(gp + c), v128.load(w + c));
        s = f32x4.add(s, g);
        sx = fma(g, f32x4.mul(f32x4.sub(v128.load(xp + c), vm), vr), sx);
      }
      if (tail) {
        const g = f32x4.mul(loadTail(gp + c, tail), loadTail(w + c, tail));
        s = f32x4.add(s, g);
        sx = fma(g, f32x4.mul(f32x4.sub(loadTail(xp + c, tail), vm), vr), sx);
      }
      const centre = f32x4.splat(sumLanes(s) / <f32>C);
      const pull = f32x4.splat(-sumLanes(sx) / <f32>C);
      for (c = 0; c < whole; c += 16) {
        const g = v128.load(gp + c);
        const xhat = f32x4.mul(f32x4.sub(v128.load(xp + c), vm), vr);
        v128.store(out + c, f32x4.mul(vr, fma(xhat, pull, f32x4.sub(f32x4.mul(g, v128.load(w + c)), centre))));
        v128.store(dw + c, fma(g, xhat, v128.load(dw + c)));
        v128.store(db + c, f32x4.add(g, v128.load(db + c)));
      }
      if (tail) {
        const g = loadTail(gp + c, tail);
        const xhat = f32x4.mul(f32x4.sub(loadTail(xp + c, tail), vm), vr);
        storeTail(out + c, f32x4.mul(vr, fma(xhat, pull, f32x4.sub(f32x4.mul(g, loadTail(w + c, tail)), centre))), tail);
        storeTail(dw + c, fma(g, xhat, loadTail(dw + c, tail)), tail);
        storeTail(db + c, f32x4.add(g, loadTail(db + c, tail)), tail);
      }
    }
  }
}
