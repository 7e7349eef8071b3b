/** Reference of row lookup and its scatter. */
import { embedding } from "../ops/embedding";
import { implement } from "./implement";

export const embeddingReference = [
  implement<"table" | "ids" | "y", "C" | "N">(embedding.forward, ({ table, ids, y }, { C, N }) => {
    for (let n = 0; n < N; n++) {
      for (let c = 0; c < C; c++) y[n * C + c] = table[ids[n]! * C + c]!;
    }
  }),
  implement<"dy" | "order" | "rows" | "starts" | "dtable", "C" | "U">(
    embedding.backward,
    ({ dy, order, rows, starts, dtable }, { C, U }) => {
      for (let u = 0; u < U; u++) {
        for (let i = starts[u]!; i < starts[u + 1]!; i++) {
          for (let c = 0; c < C; c++) dtable[rows[u]! * C + c]! += dy[order[i]! * C + c]!;
        }
      }
    },
  ),
];
