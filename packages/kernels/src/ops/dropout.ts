/**
 * Dropout (Srivastava et al. 2014), by counter instead of by a stored mask: y[n] = x[n] / (1 - rate) where
 * Threefry-2x32(key = (seed_lo, seed_hi), counter = (stream, n)), as a uniform number, is at least `rate`; else 0.
 * The same entry point with the same scalars takes the gradient back.
 */
import { defineOp } from "../contract";

export const dropout = defineOp({
  apply: {
    name: "dropout_apply",
    in: { x: "(N)" },
    out: { y: "(N)" },
    scalars: { rate: "f32", seed_lo: "u32", seed_hi: "u32", stream: "u32" },
    flops: ({ N }) => N,
  },
});
