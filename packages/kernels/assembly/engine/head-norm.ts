/** RMS norm of query and key parts of fused rows; value parts are copied through. Items are rows, or blocks of rows. */
import { backwardRow, rootMeanSquare, scaleRow } from "./rms-norm";

export function head_norm_forward(x: usize, wq: usize, wk: usize, y: usize, rstd: usize, N: u32, A: u32, B: u32, H: u32, K: u32, eps: f32, begin: u32, end: u32): void {
  const row: usize = (H * A + 2 * K * B) << 2;
  for (let n = begin; n < end; n++) {
    let at: usize = n * row;
    for (let h: u32 = 0; h < H + K; h++) {
      const size = h < H ? A : B;
      const r = rootMeanSquare(x + at, size, eps);
      store<f32>(rstd + ((n * (H + K) + h) << 2), r);
      scaleRow(x + at, h < H ? wq : wk, y + at, size, r);
      at += size << 2;
    }
    memory.copy(y + at, x + at, (K * B) << 2);
  }
}

export function head_norm_backward__rows(dy: usize, x: usize, wq: usize, wk: usize, rstd: usize, dx: usize, partialsQ: usize, partialsK: usize, N: u32, A: u32, B: u32, H: u32, K: u32, block: u32, begin: u32, end: u32): void {
  const row: usize = (H * A + 2 * K * B) << 2;
  for (let i = begin; i < end; i++) {
    const dwq = partialsQ + ((i * A) << 2);
    const dwk = partialsK + ((i * B) << 2);
    memory.fill(dwq, 0, A << 2);
    memory.fill(dwk, 0, B << 2);
    const last = min<u32>(N, (i + 1) * block);
    for (let n = i * block; n < last; n++) {
      let at: usize = n * row;
      for (let h: u32 = 0; h < H + K; h++) {
        const size = h < H ? A : B;
        const r = load<f32>(rstd + ((n * (H + K) + h) << 2));
        backwardRow(dy + at, x + at, h < H ? wq : wk, dx + at, h < H ? dwq : dwk, size, r);
        at += size << 2;
      }
      memory.copy(dx + at, dy + at, (K * B) << 2);
    }
  }
}
