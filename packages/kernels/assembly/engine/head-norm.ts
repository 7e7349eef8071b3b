/** RMS norm of every query and key head; value heads are copied through. Items are rows, or blocks of rows. */
import { backwardRow, rootMeanSquare, scaleRow } from "./rms-norm";

export function head_norm_forward(x: usize, wq: usize, wk: usize, y: usize, rstd: usize, N: u32, D: u32, H: u32, K: u32, eps: f32, begin: u32, end: u32): void {
  const head: usize = D << 2;
  const row: usize = (H + 2 * K) * head;
  for (let n = begin; n < end; n++) {
    const xp = x + n * row;
    const yp = y + n * row;
    for (let h: u32 = 0; h < H + K; h++) {
      const r = rootMeanSquare(xp + h * head, D, eps);
      store<f32>(rstd + ((n * (H + K) + h) << 2), r);
      scaleRow(xp + h * head, h < H ? wq : wk, yp + h * head, D, r);
    }
    memory.copy(yp + (H + K) * head, xp + (H + K) * head, K * head);
  }
}

export function head_norm_backward__rows(dy: usize, x: usize, wq: usize, wk: usize, rstd: usize, dx: usize, partialsQ: usize, partialsK: usize, N: u32, D: u32, H: u32, K: u32, block: u32, begin: u32, end: u32): void {
  const head: usize = D << 2;
  const row: usize = (H + 2 * K) * head;
  for (let i = begin; i < end; i++) {
    const dwq = partialsQ + i * head;
    const dwk = partialsK + i * head;
    memory.fill(dwq, 0, head);
    memory.fill(dwk, 0, head);
    const last = min<u32>(N, (i + 1) * block);
    for (let n = i * block; n < last; n++) {
      for (let h: u32 = 0; h < H + K; h++) {
        const at: usize = n * row + h * head;
        const r = load<f32>(rstd + ((n * (H + K) + h) << 2));
        backwardRow(dy + at, x + at, h < H ? wq : wk, dx + at, h < H ? dwq : dwk, D, r);
      }
      const values: usize = n * row + (H + K) * head;
      memory.copy(dx + values, dy + values, K * head);
    }
  }
}
