/**
 * RMS norm of parts of fused rows [H query parts of A channels | K key parts of B | K value parts of B]; value parts are copied through. A part is a
 * head (Qwen3, Gemma 3: A = B), or all query heads and all key heads (OLMo 2: H = K = 1). rstd is (N, H + K): query parts first.
 */
import { defineOp, type Sizes } from "../contract";

const normed = ({ N, H, A, K, B }: Sizes) => N * (H * A + K * B);

export const headNorm = defineOp({
  forward: {
    name: "head_norm_forward",
    in: { x: "(N, H * A + 2 * K * B)", wq: "(A)", wk: "(B)" },
    out: { y: "(N, H * A + 2 * K * B)", rstd: "(N, H + K)" },
    scalars: { H: "u32", K: "u32", eps: "f32" },
    flops: (sizes) => 4 * normed(sizes),
  },
  backward: {
    name: "head_norm_backward",
    in: { dy: "(N, H * A + 2 * K * B)", x: "(N, H * A + 2 * K * B)", wq: "(A)", wk: "(B)", rstd: "(N, H + K)" },
    out: { dx: "(N, H * A + 2 * K * B)", dwq: "+= (A)", dwk: "+= (B)" },
    scalars: { H: "u32", K: "u32" },
    flops: (sizes) => 10 * normed(sizes),
  },
});
