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
  backward: {
    name: "rms_norm_backward",
    in: { dy: "(N, C)", x: "(N, C)", w: "(C)", rstd: "(N)" },
    out: { dx: "(N, C)", dw: "+= (C)" },
    flops: ({ N, C }) => 10 * N * C,
  },
});
