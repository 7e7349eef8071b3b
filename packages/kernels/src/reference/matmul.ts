/** Reference of the linear layer: plain dot products. */
import { matmul } from "../ops/matmul";
import { implement } from "./implement";

export const matmulReference = [
  implement<"x" | "w" | "y", "M" | "K" | "N", "bias" | "addend">(matmul.forward, ({ x, w, bias, addend, y }, { M, K, N }) => {
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += x[m * K + k]! * w[n * K + k]!;
        y[m * N + n] = sum + (bias?.[n] ?? 0) + (addend?.[m * N + n] ?? 0);
      }
    }
  }),
  implement<"dy" | "w" | "dx", "M" | "N" | "K">(matmul.backwardInput, ({ dy, w, dx }, { M, N, K }) => {
    dx.fill(0);
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        for (let k = 0; k < K; k++) dx[m * K + k]! += dy[m * N + n]! * w[n * K + k]!;
      }
    }
  }),
  implement<"dy" | "x" | "dw", "M" | "N" | "K">(matmul.backwardWeight, ({ dy, x, dw }, { M, N, K }) => {
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        for (let k = 0; k < K; k++) dw[n * K + k]! += dy[m * N + n]! * x[m * K + k]!;
      }
    }
  }),
  implement<"dy" | "db", "M" | "N">(matmul.backwardBias, ({ dy, db }, { M, N }) => {
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) db[n]! += dy[m * N + n]!;
    }
  }),
];
