/** Linear layer: y = x · wᵀ + bias (+ addend). */
import { ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { Parameter } from "./parameters";

/** x (M, K), w (N, K), bias (N), addend (M, N), a residual stream added in the same pass -> y (M, N). */
export function linear(
  tape: Tape,
  x: Tensor,
  w: Pick<Parameter, "value" | "grad" | "shape">,
  options: { bias?: Parameter | undefined; addend?: Tensor | undefined } = {},
): Tensor {
  const { bias, addend } = options;
  const y = tape.alloc([x.shape[0] as number, w.shape[0] as number]);
  tape.run(ops.matmul.forward, { x, w: w.value, bias: bias?.value, addend, y });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    if (w.grad) tape.run(ops.matmul.backwardWeight, { dy, x, dw: w.grad });
    if (bias?.grad) tape.run(ops.matmul.backwardBias, { dy, db: bias.grad });
    tape.addGrad(x, (dx) => tape.run(ops.matmul.backwardInput, { dy, w: w.value, dx }));
    if (addend) tape.passGrad(y, addend);
  });
  return y;
}
