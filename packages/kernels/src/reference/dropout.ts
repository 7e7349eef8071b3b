/** Reference of dropout: one draw an element. */
import { dropout } from "../ops/dropout";
import { implement } from "./implement";
import { uniform } from "./threefry";

export const dropoutReference = [
  implement<"x" | "y", "N" | "rate" | "seed_lo" | "seed_hi" | "stream">(
    dropout.apply,
    ({ x, y }, { N, rate, seed_lo, seed_hi, stream }) => {
      for (let n = 0; n < N; n++) y[n] = uniform([seed_lo, seed_hi], [stream, n]) >= rate ? x[n]! / (1 - rate) : 0;
    },
  ),
];
