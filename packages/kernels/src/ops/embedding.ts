/**
 * Row lookup: token and position embeddings, and gathering hidden rows.
 *
 * A table may be part of a larger one, whose row `first` is its first: ids are rows of the larger one.
 */
import { defineOp } from "../contract";

export const embedding = defineOp({
  /**
   * y[n] = table[ids[n] - first] where the table has that row. Other rows of y stay as they are, so that the parts of a table fill y together; where
   * `first` is 0 they are undefined.
   */
  forward: {
    name: "embedding_forward",
    in: { table: "(V, C)", ids: "u32 (N)" },
    inout: { y: "(N, C)" },
    scalars: { first: "u32" },
    flops: () => 0,
    bytes: ({ N, C }) => 4 * (2 * N * C + N),
  },
  /**
   * dtable[rows[u] - first] += Σ_{i in starts[u] .. starts[u + 1]} dy[order[i]], where the table has that row: one writer per table row, in a
   * fixed order, so no atomics. The host sorts: `rows` are the distinct ids, `order` the positions that use them.
   */
  backward: {
    name: "embedding_backward",
    in: { dy: "(N, C)", order: "u32 (N)", rows: "u32 (U)", starts: "u32 (U + 1)" },
    out: { dtable: "+= (V, C)" },
    scalars: { first: "u32" },
    flops: ({ N, C }) => N * C,
    bytes: ({ N, C, U }) => 4 * (N * C + 2 * U * C + N + 2 * U),
  },
});
