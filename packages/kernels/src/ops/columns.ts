/** Some columns of a wider matrix: logits of a part of the vocabulary among those of all of it. */
import { defineOp } from "../contract";

export const columns = defineOp({
  /** y[n, first + c] = x[n, c]; the other columns stay as they are. */
  place: {
    name: "columns_place",
    in: { x: "(N, C)" },
    inout: { y: "(N, D)" },
    scalars: { first: "u32" },
    flops: () => 0,
    bytes: ({ N, C }) => 4 * 2 * N * C,
  },
  /** y[n, c] = x[n, first + c] */
  take: {
    name: "columns_take",
    in: { x: "(N, D)" },
    out: { y: "(N, C)" },
    scalars: { first: "u32" },
    flops: () => 0,
    bytes: ({ N, C }) => 4 * 2 * N * C,
  },
});
