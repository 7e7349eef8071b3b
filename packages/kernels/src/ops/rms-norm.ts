/** Root-mean-square norm (Zhang and Sennrich 2019): y = w · x · rstd, rstd = 1 / √(mean(x²) + eps). */
import { defineOp } from "../contract";

export const rmsNorm = defineOp({
  forward: {
    name: "rms_norm_forward",
    in: { x: "(N, C)", w: "(C)" },
    out: { y: "(N, C)", rstd: "(N)" },
    scalars: { eps: "f32" },
    flops: ({ N, C }) => 4 * N * C,
  },
  /** Adds to dx where `accumulate` is 1, as to the gradient of a residual stream, and overwrites it where that is 0. */
  backward: {
    name: "rms_norm_backward",
    in: { dy: "(N, C)", x: "(N, C)", w: "(C)", rstd: "(N)" },
    inout: { dx: "(N, C)" },
    out: { dw: "+= (C)" },
    scalars: { accumulate: "u32" },
    flops: ({ N, C, accumulate }) => (10 + accumulate) * N * C,
    bytes: ({ N, C, accumulate }) => 4 * ((3 + accumulate) * N * C + N + 3 * C),
  },
});
