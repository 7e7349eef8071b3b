/**
 * Rotary position embedding (Su et al. 2021; rotate-half pairing of Llama and GPT-NeoX), in place on fused rows.
 *
 * For the first `heads` heads of D channels of each row, with p = positions[n], i < D / 2 and s = `direction`:
 *   x'[i]         = x[i] cos[p, i] - s x[i + D/2] sin[p, i]
 *   x'[i + D/2]   = x[i + D/2] cos[p, i] + s x[i] sin[p, i]
 * The rotation is orthogonal, so the backward pass is the same entry point with direction -1.
 */
import { defineOp } from "../contract";

export const rope = defineOp({
  rotate: {
    name: "rope_rotate",
    in: { cos: "(T, R)", sin: "(T, R)", positions: "u32 (N)" },
    inout: { x: "(N, P)" },
    scalars: { heads: "u32", direction: "f32" },
  },
});
