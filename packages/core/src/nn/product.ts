/** Products of tensors that both carry gradients, and broadcasts over rows: what adapters are composed of. */
import { elementCount, ops } from "@trimtab/kernels";
import { mul } from "../autograd/elementwise";
import { gatherRows, rowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import { reshape, type Tensor } from "../tensor/tensor";

/** x (M, K), w of M' · K elements as (M', K) -> x · wᵀ (+ addend), (M, M'); the gradient of w comes in w's own shape. */
export function product(tape: Tape, x: Tensor, w: Tensor, addend?: Tensor): Tensor {
  const inner = x.shape[1] as number;
  const matrix = reshape(w, [elementCount(w.shape) / inner, inner]);
  const y = tape.alloc([x.shape[0] as number, matrix.shape[0] as number]);
  tape.run(ops.matmul.forward, { x, w: matrix, addend, y });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    tape.addGrad(w, (gradient) => {
      tape.run(ops.fill.set, { y: reshape(gradient, [elementCount(w.shape)]) }, { value: 0 });
      tape.run(ops.matmul.backwardWeight, { dy, x, dw: reshape(gradient, matrix.shape) });
    });
    tape.addGrad(x, (dx) => tape.run(ops.matmul.backwardInput, { dy, w: matrix, dx }));
    if (addend) tape.passGrad(y, addend);
  });
  return y;
}

/** row (1, C) repeated -> (rows, C). */
export function repeatRow(tape: Tape, row: Tensor, rows: number): Tensor {
  return gatherRows(tape, row, rowIndex(tape, new Uint32Array(rows)));
}

/** x (N, C), row (1, C) -> x with every column times its factor. */
export function scaleColumns(tape: Tape, x: Tensor, row: Tensor): Tensor {
  return mul(tape, x, repeatRow(tape, row, x.shape[0] as number));
}
