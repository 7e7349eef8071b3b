/**
 * Linear layers over frozen weights in low precision: y = x · wᵀ (+ bias) (+ addend) with f32 sums, where w (N, K) lies in packed rows of W
 * words (weight-formats.ts; `format` is a format's id). There is no gradient of w.
 */
import { defineOp, type Sizes } from "../contract";

const product = ({ M, K, N }: Sizes) => 2 * M * K * N;

export const packedWeight = defineOp({
  forward: {
    name: "packed_weight_forward",
    in: { x: "(M, K)", w: "u32 (N, W)", "bias?": "(N)", "addend?": "(M, N)" },
    out: { y: "(M, N)" },
    scalars: { format: "u32" },
    flops: (sizes) => product(sizes) + (sizes.has_bias + sizes.has_addend) * sizes.M * sizes.N,
  },
  /** dx = dy · w */
  backwardInput: {
    name: "packed_weight_backward_input",
    in: { dy: "(M, N)", w: "u32 (N, W)" },
    out: { dx: "(M, K)" },
    scalars: { format: "u32" },
    flops: product,
  },
  /** y[n] = row ids[n] of w, in f32. */
  rows: {
    name: "packed_weight_rows",
    in: { ids: "u32 (N)", w: "u32 (V, W)" },
    out: { y: "(N, K)" },
    scalars: { format: "u32" },
    flops: ({ N, K }) => N * K,
    bytes: ({ N, K, W }) => 4 * N * (1 + W + K),
  },
});
