/** RMS norm of query and key parts of fused rows; value parts are copied through. Items are rows, or blocks of rows. */
import { threadScratch } from "../lib/scratch";
import { backwardRows, beginGradient, endGradient, forwardRows, gradientBytes } from "./rms-norm";

export function head_norm_forward(x: usize, wq: usize, wk: usize, y: usize, rstd: usize, N: u32, A: u32, B: u32, H: u32, K: u32, eps: f32, begin: u32, end: u32): void {
  const queries: usize = (H * A) << 2;
  const row: usize = queries + ((2 * K * B) << 2);
  for (let n = begin; n < end; n++) {
    const at: usize = n * row;
    const keys = at + queries, values = keys + ((K * B) << 2);
    const r = rstd + ((n * (H + K)) << 2);
    forwardRows(x + at, wq, y + at, r, H, A, eps);
    forwardRows(x + keys, wk, y + keys, r + (H << 2), K, B, eps);
    memory.copy(y + values, x + values, (K * B) << 2);
  }
}

export function head_norm_backward__rows(dy: usize, x: usize, wq: usize, wk: usize, rstd: usize, dx: usize, partialsQ: usize, partialsK: usize, N: u32, A: u32, B: u32, H: u32, K: u32, block: u32, begin: u32, end: u32): void {
  const queries: usize = (H * A) << 2;
  const row: usize = queries + ((2 * K * B) << 2);
  const sumsQ = threadScratch();
  const sumsK = sumsQ + gradientBytes(A);
  for (let i = begin; i < end; i++) {
    beginGradient(wq, sumsQ, A);
    beginGradient(wk, sumsK, B);
    const last = min<u32>(N, (i + 1) * block);
    for (let n = i * block; n < last; n++) {
      const at: usize = n * row;
      const keys = at + queries, values = keys + ((K * B) << 2);
      const r = rstd + ((n * (H + K)) << 2);
      backwardRows(dy + at, x + at, wq, r, sumsQ, dx + at, 0, H, A);
      backwardRows(dy + keys, x + keys, wk, r + (H << 2), sumsK, dx + keys, 0, K, B);
      memory.copy(dx + values, dy + values, (K * B) << 2);
    }
    endGradient(sumsQ, partialsQ + ((i * A) << 2), A);
    endGradient(sumsK, partialsK + ((i * B) << 2), B);
  }
}
