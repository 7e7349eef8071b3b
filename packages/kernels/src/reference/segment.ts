/** Reference of sums over ragged segments and their adjoint. */
import { segment } from "../ops/segment";
import { implement } from "./implement";

export const segmentReference = [
  implement<"x" | "offsets" | "y", "S">(segment.sum, ({ x, offsets, y }, { S }) => {
    for (let s = 0; s < S; s++) {
      let sum = 0;
      for (let n = offsets[s]!; n < offsets[s + 1]!; n++) sum += x[n]!;
      y[s] = sum;
    }
  }),
  implement<"y" | "offsets" | "x", "S">(segment.broadcast, ({ y, offsets, x }, { S }) => {
    x.fill(0);
    for (let s = 0; s < S; s++) {
      for (let n = offsets[s]!; n < offsets[s + 1]!; n++) x[n] = y[s]!;
    }
  }),
];
