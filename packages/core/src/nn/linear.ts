/** Linear layer: y = x · wᵀ + bias (+ addend), w in f32 or frozen in low precision. */
import { type MemoryKind, ops, WEIGHT_FORMATS } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { PackedParameter, Parameter } from "./parameters";

/** (out, in), and where its gradient accumulates: a parameter, or a part of one. */
interface MatrixInF32 {
  readonly value: Tensor;
  readonly grad?: Tensor | undefined;
}

/** x (M, K), w (N, K), bias (N), addend (M, N), a residual stream added in the same pass -> y (M, N). `kind`: what y counts as. */
export function linear(
  tape: Tape,
  x: Tensor,
  w: MatrixInF32 | PackedParameter,
  options: { bias?: Parameter | undefined; addend?: Tensor | undefined; kind?: MemoryKind | undefined } = {},
): Tensor {
  const { bias, addend } = options;
  const outputs = ("packed" in w ? w.packed : w.value).shape[0] as number;
  const y = tape.alloc([x.shape[0] as number, outputs], "f32", options.kind);
  const inputs = { x, bias: bias?.value, addend, y };
  if ("packed" in w) tape.run(ops.packedWeight.forward, { ...inputs, w: w.packed }, { format: WEIGHT_FORMATS[w.format].id });
  else tape.run(ops.matmul.forward, { ...inputs, w: w.value });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    if (!("packed" in w) && w.grad) tape.run(ops.matmul.backwardWeight, { dy, x, dw: w.grad });
    if (bias?.grad) tape.run(ops.matmul.backwardBias, { dy, db: bias.grad });
    tape.addGrad(x, (dx) => {
      if ("packed" in w) tape.run(ops.packedWeight.backwardInput, { dy, w: w.packed, dx }, { format: WEIGHT_FORMATS[w.format].id });
      else tape.run(ops.matmul.backwardInput, { dy, w: w.value, dx });
    });
    if (addend) tape.passGrad(y, addend);
  });
  return y;
}
