/** The same elements under another shape, on the tape. */
import { reshape, type Tensor } from "../tensor/tensor";
import type { Tape } from "./tape";

/** A view whose gradient is that of x. */
export function reshaped(tape: Tape, x: Tensor, shape: readonly number[]): Tensor {
  const y = reshape(x, shape);
  tape.record([y], () => tape.passGrad(y, x));
  return y;
}
