/** Dropout of a training pass, drawn from the pass and the place in the model. */
import { elementCount, ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import { reshape, type Tensor } from "../tensor/tensor";

/**
 * x with a share of `rate` of its elements 0 and the others larger by 1 / (1 - rate); x itself on a tape that has no draw. The same tape's draw
 * and the same `stream` leave out the same elements, so that a recomputed layer is the same layer.
 */
export function dropout(tape: Tape, x: Tensor, rate: number, stream: number): Tensor {
  if (rate === 0 || !tape.draw) return x;
  const [seed_lo, seed_hi] = tape.draw;
  const scalars = { rate, seed_lo, seed_hi, stream };
  const flat = (tensor: Tensor) => reshape(tensor, [elementCount(tensor.shape)]);
  const y = tape.alloc(x.shape);
  tape.run(ops.dropout.apply, { x: flat(x), y: flat(y) }, scalars);
  tape.record([y], () => {
    const dy = flat(tape.grad(y) as Tensor);
    tape.addGrad(x, (dx) => tape.run(ops.dropout.apply, { x: dy, y: flat(dx) }, scalars));
  });
  return y;
}
