/** Reference of layer norm. */
import { layerNorm } from "../ops/layer-norm";
import { implement } from "./implement";

export const layerNormReference = [
  implement<"x" | "w" | "b" | "y" | "mean" | "rstd", "N" | "C" | "eps">(layerNorm.forward, ({ x, w, b, y, mean, rstd }, { N, C, eps }) => {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let c = 0; c < C; c++) sum += x[n * C + c]!;
      mean[n] = sum / C;
      let squares = 0;
      for (let c = 0; c < C; c++) squares += (x[n * C + c]! - mean[n]!) ** 2;
      rstd[n] = 1 / Math.sqrt(squares / C + eps);
      for (let c = 0; c < C; c++) y[n * C + c] = w[c]! * (x[n * C + c]! - mean[n]!) * rstd[n]! + b[c]!;
    }
  }),
  // With x̂ = (x - mean) rstd and g = w dy:  dx = rstd (g - mean(g) - x̂ mean(g x̂)),  dw += Σ_n dy x̂,  db += Σ_n dy
  implement<"dy" | "x" | "w" | "mean" | "rstd" | "dx" | "dw" | "db", "N" | "C" | "accumulate">(
    layerNorm.backward,
    ({ dy, x, w, mean, rstd, dx, dw, db }, { N, C, accumulate }) => {
      for (let n = 0; n < N; n++) {
        let meanOfG = 0;
        let projection = 0;
        for (let c = 0; c < C; c++) {
          const g = w[c]! * dy[n * C + c]!;
          meanOfG += g / C;
          projection += (g * (x[n * C + c]! - mean[n]!) * rstd[n]!) / C;
        }
        for (let c = 0; c < C; c++) {
          const normed = (x[n * C + c]! - mean[n]!) * rstd[n]!;
          const gradient = rstd[n]! * (w[c]! * dy[n * C + c]! - meanOfG - normed * projection);
          dx[n * C + c] = (accumulate ? dx[n * C + c]! : 0) + gradient;
          dw[c]! += dy[n * C + c]! * normed;
          db[c]! += dy[n * C + c]!;
        }
      }
    },
  ),
];
