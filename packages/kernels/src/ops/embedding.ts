/** Row lookup: token and position embeddings, and gathering hidden rows. */
import { defineOp } from "../contract";

export const embedding = defineOp({
  /** y[n] = table[ids[n]] */
  forward: {
    name: "embedding_forward",
    in: { table: "(V, C)", ids: "u32 (N)" },
    out: { y: "(N, C)" },
    flops: () => 0,
    bytes: ({ N, C }) => 4 * (2 * N * C + N),
  },
  /**
   * dtable[rows[u]] += Σ_{i in starts[u] .. starts[u + 1]} dy[order[i]]: one writer per table row, in a fixed order, so no
   * atomics. The host sorts: `rows` are the distinct ids, `order` the positions that use them.
   */
  backward: {
    name: "embedding_backward",
    in: { dy: "(N, C)", order: "u32 (N)", rows: "u32 (U)", starts: "u32 (U + 1)" },
    out: { dtable: "+= (V, C)" },
    flops: ({ N, C }) => N * C,
    bytes: ({ N, C, U }) => 4 * (N * C + 2 * U * C + N + 2 * U),
  },
});
