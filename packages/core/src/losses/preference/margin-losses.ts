/** The curves that preference objectives put on a margin x: what is wanted is x > 0. Each (N) -> (N). */
import { add, affine, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

/** Larger than any finite f32 that a loss may hold. */
const UNBOUNDED = 3e38;

/**
 * -(1 - ε) log σ(x) - ε log σ(-x), written as -log σ(x) + ε x, which is the same and needs one logarithm. ε is the chance that
 * the label is wrong (label smoothing); default 0.
 */
export function logisticLoss(tape: Tape, x: Tensor, labelSmoothing = 0): Tensor {
  const loss = affine(tape, unary(tape, "log_sigmoid", x), -1);
  return labelSmoothing === 0 ? loss : add(tape, loss, affine(tape, x, labelSmoothing));
}

/** max(0, 1 - x) */
export function hingeLoss(tape: Tape, x: Tensor): Tensor {
  return unary(tape, "clamp", affine(tape, x, -1, 1), 0, UNBOUNDED);
}

/** (x - target)² */
export function squaredLoss(tape: Tape, x: Tensor, target: number): Tensor {
  return unary(tape, "square", affine(tape, x, 1, -target));
}
