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
  backward: {
    name: "layer_norm_backward",
    in: { dy: "(N, C)", x: "(N, C)", w: "(C)", mean: "(N)", rstd: "(N)" },
    out: { dx: "(N, C)", dw: "+= (C)", db: "+= (C)" },
    flops: ({ N, C }) => 14 * N * C,
  },
});
