/** Reference of row lookup and its scatter. */
import { embedding } from "../ops/embedding";
import { implement } from "./implement";

export const embeddingReference = [
  implement<"table" | "ids" | "y", "V" | "C" | "N" | "first">(embedding.forward, ({ table, ids, y }, { V, C, N, first }) => {
    for (let n = 0; n < N; n++) {
      const row = ids[n]! - first;
      if (row < 0 || row >= V) continue;
      for (let c = 0; c < C; c++) y[n * C + c] = table[row * C + c]!;
    }
  }),
  implement<"dy" | "order" | "rows" | "starts" | "dtable", "C" | "U" | "V" | "first">(
    embedding.backward,
    ({ dy, order, rows, starts, dtable }, { C, U, V, first }) => {
      for (let u = 0; u < U; u++) {
        const row = rows[u]! - first;
        if (row < 0 || row >= V) continue;
        for (let i = starts[u]!; i < starts[u + 1]!; i++) {
          for (let c = 0; c < C; c++) dtable[row * C + c]! += dy[order[i]! * C + c]!;
        }
      }
    },
  ),
];
