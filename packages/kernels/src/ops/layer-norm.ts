/** Layer norm (Ba et al. 2016): y = w · (x - mean) · rstd + b, population variance. */
import { defineOp } from "../contract";

export const layerNorm = defineOp({
  forward: {
    name: "layer_norm_forward",
    in: { x: "(N, C)", w: "(C)", b: "(C)" },
    out: { y: "(N, C)", mean: "(N)", rstd: "(N)" },
    scalars: { eps: "f32" },
    flops: ({ N, C }) => 7 * N * C,
  },
  /** Adds to dx where `accumulate` is 1, as to the gradient of a residual stream, and overwrites it where that is 0. */
  backward: {
    name: "layer_norm_backward",
    in: { dy: "(N, C)", x: "(N, C)", w: "(C)", mean: "(N)", rstd: "(N)" },
    inout: { dx: "(N, C)" },
    out: { dw: "+= (C)", db: "+= (C)" },
    scalars: { accumulate: "u32" },
    flops: ({ N, C, accumulate }) => (14 + accumulate) * N * C,
    bytes: ({ N, C, accumulate }) => 4 * ((3 + accumulate) * N * C + 2 * N + 5 * C),
  },
});
