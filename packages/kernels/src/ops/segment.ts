/** Sums over ragged segments, and their adjoint. Segment s is [offsets[s], offsets[s + 1]). */
import { defineOp } from "../contract";

export const segment = defineOp({
  /** y[s] = Σ x over segment s, in a fixed order. */
  sum: { name: "segment_sum", in: { x: "(N)", offsets: "u32 (S + 1)" }, out: { y: "(S)" }, flops: ({ N }) => N },
  /** x[n] = y[s] for n in segment s; 0 outside every segment. */
  broadcast: { name: "segment_broadcast", in: { y: "(S)", offsets: "u32 (S + 1)" }, out: { x: "(N)" }, flops: () => 0 },
});
