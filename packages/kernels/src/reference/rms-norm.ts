/** Reference of root-mean-square norm. */
import { rmsNorm } from "../ops/rms-norm";
import { implement } from "./implement";

export const rmsNormReference = [
  implement<"x" | "w" | "y" | "rstd", "N" | "C" | "eps">(rmsNorm.forward, ({ x, w, y, rstd }, { N, C, eps }) => {
    for (let n = 0; n < N; n++) {
      let squares = 0;
      for (let c = 0; c < C; c++) squares += x[n * C + c]! ** 2;
      rstd[n] = 1 / Math.sqrt(squares / C + eps);
      for (let c = 0; c < C; c++) y[n * C + c] = w[c]! * x[n * C + c]! * rstd[n]!;
    }
  }),
  // With x̂ = x rstd and g = w dy:  dx = rstd (g - x̂ mean(g x̂)),  dw += Σ_n dy x̂
  implement<"dy" | "x" | "w" | "rstd" | "dx" | "dw", "N" | "C" | "accumulate">(
    rmsNorm.backward,
    ({ dy, x, w, rstd, dx, dw }, { N, C, accumulate }) => {
      for (let n = 0; n < N; n++) {
        const r = rstd[n]!;
        let projection = 0;
        for (let c = 0; c < C; c++) projection += w[c]! * dy[n * C + c]! * x[n * C + c]! * r;
        projection /= C;
        for (let c = 0; c < C; c++) {
          const normed = x[n * C + c]! * r;
          const gradient = r * (w[c]! * dy[n * C + c]! - normed * projection);
          dx[n * C + c] = (accumulate ? dx[n * C + c]! : 0) + gradient;
          dw[c]! += dy[n * C + c]! * normed;
        }
      }
    },
  ),
];
