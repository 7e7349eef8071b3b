/**
 * One logit a row: the value of one token under a head over the vocabulary (the Q-values of ILQL), without the others.
 *
 *   y[n] = hidden[n] · head[targets[n]]
 */
import { defineOp } from "../contract";

export const vocabGather = defineOp({
  forward: {
    name: "vocab_gather_forward",
    in: { hidden: "(N, C)", head: "(V, C)", targets: "u32 (N)" },
    out: { y: "(N)" },
    flops: ({ N, C }) => 2 * N * C,
    bytes: ({ N, C }) => 4 * (2 * N * C + 2 * N),
  },
  /** dhidden[n] = dy[n] head[targets[n]] */
  backwardHidden: {
    name: "vocab_gather_backward_hidden",
    in: { dy: "(N)", head: "(V, C)", targets: "u32 (N)" },
    out: { dhidden: "(N, C)" },
    flops: ({ N, C }) => N * C,
    bytes: ({ N, C }) => 4 * (2 * N * C + 2 * N),
  },
  /**
   * dhead[rows[u]] += Σ_{i in starts[u] .. starts[u + 1]} dy[order[i]] hidden[order[i]]: the host sorts, as for the embedding. `rows` are
   * the distinct targets, `order` the positions that use them.
   */
  backwardHead: {
    name: "vocab_gather_backward_head",
    in: { dy: "(N)", hidden: "(N, C)", order: "u32 (N)", rows: "u32 (U)", starts: "u32 (U + 1)" },
    out: { dhead: "+= (V, C)" },
    flops: ({ N, C }) => 2 * N * C,
    bytes: ({ N, C, U }) => 4 * (N * C + 2 * U * C + 2 * N + 2 * U),
  },
});
