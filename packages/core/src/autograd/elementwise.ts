/** Differentiable elementwise functions: the pieces objectives are composed of. Shapes are kept; operands have equal shapes. */
import { BINARY_KINDS, type BinaryKind, elementCount, ops, UNARY_KINDS, type UnaryKind } from "@trimtab/kernels";
import { reshape, type Tensor } from "../tensor/tensor";
import type { Tape } from "./tape";

const flat = (tensor: Tensor): Tensor => reshape(tensor, [elementCount(tensor.shape)]);

/** y = kind(x); `a` and `b` as the kind says (affine: a x + b; clamp: to [a, b]). */
export function unary(tape: Tape, kind: UnaryKind, x: Tensor, a = 0, b = 0): Tensor {
  const scalars = { kind: UNARY_KINDS[kind], a, b };
  const y = tape.alloc(x.shape);
  tape.run(ops.unary.forward, { x: flat(x), y: flat(y) }, scalars);
  tape.record([y], () => {
    const dy = flat(tape.grad(y) as Tensor);
    tape.addGrad(x, (dx) => tape.run(ops.unary.backward, { dy, x: flat(x), dx: flat(dx) }, scalars));
  });
  return y;
}

/** z = kind(x, y) */
export function binary(tape: Tape, kind: BinaryKind, x: Tensor, y: Tensor): Tensor {
  const scalars = { kind: BINARY_KINDS[kind] };
  const z = tape.alloc(x.shape);
  tape.run(ops.binary.forward, { x: flat(x), y: flat(y), z: flat(z) }, scalars);
  tape.record([z], () => {
    const dz = flat(tape.grad(z) as Tensor);
    tape.addGrad(x, (dx) =>
      tape.addGrad(y, (dy) => tape.run(ops.binary.backward, { dz, x: flat(x), y: flat(y), dx: flat(dx), dy: flat(dy) }, scalars)),
    );
  });
  return z;
}

export const affine = (tape: Tape, x: Tensor, scale: number, shift = 0): Tensor => unary(tape, "affine", x, scale, shift);
export const add = (tape: Tape, x: Tensor, y: Tensor): Tensor => binary(tape, "add", x, y);
export const sub = (tape: Tape, x: Tensor, y: Tensor): Tensor => binary(tape, "sub", x, y);
export const mul = (tape: Tape, x: Tensor, y: Tensor): Tensor => binary(tape, "mul", x, y);
