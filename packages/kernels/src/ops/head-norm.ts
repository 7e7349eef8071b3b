/**
 * RMS norm of each query and key head (Qwen3), on fused rows [q heads | k heads | v heads] of D channels; value heads are
 * copied through. rstd is (N, H + K): query heads first.
 */
import { defineOp } from "../contract";

export const headNorm = defineOp({
  forward: {
    name: "head_norm_forward",
    in: { x: "(N, H * D + 2 * K * D)", wq: "(D)", wk: "(D)" },
    out: { y: "(N, H * D + 2 * K * D)", rstd: "(N, H + K)" },
    scalars: { H: "u32", K: "u32", eps: "f32" },
  },
  backward: {
    name: "head_norm_backward",
    in: { dy: "(N, H * D + 2 * K * D)", x: "(N, H * D + 2 * K * D)", wq: "(D)", wk: "(D)", rstd: "(N, H + K)" },
    out: { dx: "(N, H * D + 2 * K * D)", dwq: "+= (D)", dwk: "+= (D)" },
    scalars: { H: "u32", K: "u32" },
  },
});
