/**
 * Rotary position embedding (Su et al. 2021; rotate-half pairing of Llama and GPT-NeoX), in place on fused rows.
 *
 * For the first `heads` heads of D channels of each row, with p = positions[n], i < R and s = `direction`:
 *   x'[i]       = x[i] cos[p, i] - s x[i + R] sin[p, i]
 *   x'[i + R]   = x[i + R] cos[p, i] + s x[i] sin[p, i]
 * Channels from 2 R on stay as they are (partial rotation).
 * The rotation is orthogonal up to the tables' common factor, so the backward pass is the same entry point with direction -1.
 */
import { defineOp } from "../contract";

export const rope = defineOp({
  rotate: {
    name: "rope_rotate",
    in: { cos: "(T, R)", sin: "(T, R)", positions: "u32 (N)" },
    inout: { x: "(N, P)" },
    scalars: { heads: "u32", D: "u32", direction: "f32" },
    flops: ({ N, heads, R }) => 6 * N * heads * R,
    // The rotated channels, read and written, and the rows of the tables that N positions can name.
    bytes: ({ N, heads, R, T }) => 4 * (4 * N * heads * R + 2 * Math.min(N, T) * R + N),
  },
});
