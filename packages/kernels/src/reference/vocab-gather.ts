/** Reference of vocab-gather: one dot product a row, and its scatter. */
import { vocabGather } from "../ops/vocab-gather";
import { dot } from "./attention";
import { implement } from "./implement";

export const vocabGatherReference = [
  implement<"hidden" | "head" | "targets" | "y", "N" | "C">(vocabGather.forward, ({ hidden, head, targets, y }, { N, C }) => {
    for (let n = 0; n < N; n++) y[n] = dot(hidden, n * C, head, targets[n]! * C, C);
  }),
  implement<"dy" | "head" | "targets" | "dhidden", "N" | "C">(vocabGather.backwardHidden, ({ dy, head, targets, dhidden }, { N, C }) => {
    for (let n = 0; n < N; n++) {
      for (let c = 0; c < C; c++) dhidden[n * C + c] = dy[n]! * head[targets[n]! * C + c]!;
    }
  }),
  implement<"dy" | "hidden" | "order" | "rows" | "starts" | "dhead", "C" | "U">(
    vocabGather.backwardHead,
    ({ dy, hidden, order, rows, starts, dhead }, { C, U }) => {
      for (let u = 0; u < U; u++) {
        for (let i = starts[u]!; i < starts[u + 1]!; i++) {
          const n = order[i]!;
          for (let c = 0; c < C; c++) dhead[rows[u]! * C + c]! += dy[n]! * hidden[n * C + c]!;
        }
      }
    },
  ),
];
