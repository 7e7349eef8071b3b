/**
 * Linear layers over frozen weights in low precision: y = x · wᵀ (+ bias) (+ addend) with f32 sums, where w (N, K) lies in packed rows of W
 * words (weight-formats.ts; `format` is a format's id). There is no gradient of w.
 */
import { defineOp } from "../contract";

export const packedWeight = defineOp({
  forward: {
    name: "packed_weight_forward",
    in: { x: "(M, K)", w: "u32 (N, W)", "bias?": "(N)", "addend?": "(M, N)" },
    out: { y: "(M, N)" },
    scalars: { format: "u32" },
  },
  /** dx = dy · w */
  backwardInput: {
    name: "packed_weight_backward_input",
    in: { dy: "(M, N)", w: "u32 (N, W)" },
    out: { dx: "(M, K)" },
    scalars: { format: "u32" },
  },
  /** y[n] = row ids[n] of w, in f32. */
  rows: {
    name: "packed_weight_rows",
    in: { ids: "u32 (N)", w: "u32 (V, W)" },
    out: { y: "(N, K)" },
    scalars: { format: "u32" },
  },
});
