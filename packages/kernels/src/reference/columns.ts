/** Reference of placing and taking columns. */
import { columns } from "../ops/columns";
import { implement } from "./implement";

export const columnsReference = [
  implement<"x" | "y", "N" | "C" | "D" | "first">(columns.place, ({ x, y }, { N, C, D, first }) => {
    for (let n = 0; n < N; n++) {
      for (let c = 0; c < C; c++) y[n * D + first + c] = x[n * C + c]!;
    }
  }),
  implement<"x" | "y", "N" | "C" | "D" | "first">(columns.take, ({ x, y }, { N, C, D, first }) => {
    for (let n = 0; n < N; n++) {
      for (let c = 0; c < C; c++) y[n * C + c] = x[n * D + first + c]!;
    }
  }),
];
