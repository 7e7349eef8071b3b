/** Differentiable sums over ragged segments, and their adjoint. */
import { ops } from "@trimtab/kernels";
import type { Tensor } from "../tensor/tensor";
import type { Tape } from "./tape";

/** x (N), offsets u32 (S + 1) -> y (S), y[s] = Σ x over segment s. */
export function segmentSum(tape: Tape, x: Tensor, offsets: Tensor): Tensor {
  const y = tape.alloc([(offsets.shape[0] as number) - 1]);
  tape.run(ops.segment.sum, { x, offsets, y });
  tape.record([y], () => {
    tape.addGrad(x, (dx) => tape.run(ops.segment.broadcast, { y: tape.grad(y), offsets, x: dx }));
  });
  return y;
}

/** y (S), offsets u32 (S + 1) -> x (count), x[n] = y[s] for n in segment s. */
export function segmentBroadcast(tape: Tape, y: Tensor, offsets: Tensor, count: number): Tensor {
  const x = tape.alloc([count]);
  tape.run(ops.segment.broadcast, { y, offsets, x });
  tape.record([x], () => {
    tape.addGrad(y, (dy) => tape.run(ops.segment.sum, { x: tape.grad(x), offsets, y: dy }));
  });
  return x;
}

/** Σ x, as a tensor (1). */
export function sum(tape: Tape, x: Tensor): Tensor {
  return segmentSum(tape, x, tape.constant(Uint32Array.of(0, x.shape[0] as number)));
}
