/** Reference of the RMS norm of query and key parts. */
import { headNorm } from "../ops/head-norm";
import { implement } from "./implement";

/** The parts of row n that are normed: where each begins, its size, and its place among the H + K. */
function* partsOf(n: number, H: number, K: number, A: number, B: number): Generator<{ at: number; size: number; part: number }> {
  const row = n * (H * A + 2 * K * B);
  for (let part = 0; part < H; part++) yield { at: row + part * A, size: A, part };
  for (let part = H; part < H + K; part++) yield { at: row + H * A + (part - H) * B, size: B, part };
}

export const headNormReference = [
  implement<"x" | "wq" | "wk" | "y" | "rstd", "N" | "A" | "B" | "H" | "K" | "eps">(
    headNorm.forward,
    ({ x, wq, wk, y, rstd }, { N, A, B, H, K, eps }) => {
      y.set(x);
      for (let n = 0; n < N; n++) {
        for (const { at, size, part } of partsOf(n, H, K, A, B)) {
          const w = part < H ? wq : wk;
          let squares = 0;
          for (let d = 0; d < size; d++) squares += x[at + d]! ** 2;
          const r = 1 / Math.sqrt(squares / size + eps);
          rstd[n * (H + K) + part] = r;
          for (let d = 0; d < size; d++) y[at + d] = w[d]! * x[at + d]! * r;
        }
      }
    },
  ),
  // Per query or key part as in rms-norm; the gradient of value parts is copied through.
  implement<"dy" | "x" | "wq" | "wk" | "rstd" | "dx" | "dwq" | "dwk", "N" | "A" | "B" | "H" | "K">(
    headNorm.backward,
    ({ dy, x, wq, wk, rstd, dx, dwq, dwk }, { N, A, B, H, K }) => {
      dx.set(dy);
      for (let n = 0; n < N; n++) {
        for (const { at, size, part } of partsOf(n, H, K, A, B)) {
          const w = part < H ? wq : wk;
          const dw = part < H ? dwq : dwk;
          const r = rstd[n * (H + K) + part]!;
          let projection = 0;
          for (let d = 0; d < size; d++) projection += (w[d]! * dy[at + d]! * x[at + d]! * r) / size;
          for (let d = 0; d < size; d++) {
            const normed = x[at + d]! * r;
            dx[at + d] = r * (w[d]! * dy[at + d]! - normed * projection);
            dw[d]! += dy[at + d]! * normed;
          }
        }
      }
    },
  ),
];
