/** Reference of the RMS norm of query and key heads. */
import { headNorm } from "../ops/head-norm";
import { implement } from "./implement";

export const headNormReference = [
  implement<"x" | "wq" | "wk" | "y" | "rstd", "N" | "D" | "H" | "K" | "eps">(
    headNorm.forward,
    ({ x, wq, wk, y, rstd }, { N, D, H, K, eps }) => {
      for (let n = 0; n < N; n++) {
        for (let head = 0; head < H + 2 * K; head++) {
          const at = (n * (H + 2 * K) + head) * D;
          if (head >= H + K) {
            for (let d = 0; d < D; d++) y[at + d] = x[at + d]!;
            continue;
          }
          const w = head < H ? wq : wk;
          let squares = 0;
          for (let d = 0; d < D; d++) squares += x[at + d]! ** 2;
          const r = 1 / Math.sqrt(squares / D + eps);
          rstd[n * (H + K) + head] = r;
          for (let d = 0; d < D; d++) y[at + d] = w[d]! * x[at + d]! * r;
        }
      }
    },
  ),
  // Per query or key head as in rms-norm; the gradient of value heads is copied through.
  implement<"dy" | "x" | "wq" | "wk" | "rstd" | "dx" | "dwq" | "dwk", "N" | "D" | "H" | "K">(
    headNorm.backward,
    ({ dy, x, wq, wk, rstd, dx, dwq, dwk }, { N, D, H, K }) => {
      for (let n = 0; n < N; n++) {
        for (let head = 0; head < H + 2 * K; head++) {
          const at = (n * (H + 2 * K) + head) * D;
          if (head >= H + K) {
            for (let d = 0; d < D; d++) dx[at + d] = dy[at + d]!;
            continue;
          }
          const w = head < H ? wq : wk;
          const dw = head < H ? dwq : dwk;
          const r = rstd[n * (H + K) + head]!;
          let projection = 0;
          for (let d = 0; d < D; d++) projection += (w[d]! * dy[at + d]! * x[at + d]! * r) / D;
          for (let d = 0; d < D; d++) {
            const normed = x[at + d]! * r;
            dx[at + d] = r * (w[d]! * dy[at + d]! - normed * projection);
            dw[d]! += dy[at + d]! * normed;
          }
        }
      }
    },
  ),
];
