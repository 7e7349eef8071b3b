/**
 * The value function's loss, clipped around the values that the rollout recorded.
 *
 *   L_t = ½ max((V_t - R_t)², (clip(V_t, V_old - ε, V_old + ε) - R_t)²)
 *
 * Matches lm-human-preferences, TRL's PPOTrainer, verl and OpenRLHF; ε = 0.2 in the first three.
 */
import { affine, binary, sub, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

/** Each (M); gradients go to `values` only. */
export interface ValueInputs {
  readonly values: Tensor;
  readonly oldValues: Tensor;
  readonly returns: Tensor;
}

/** losses (M), and `clipped` (M): 1 where the clipped branch is the larger one, so that no gradient flows. `cliprangeValue` 0 = no clip. */
export function valueLoss(
  tape: Tape,
  { values, oldValues, returns }: ValueInputs,
  { cliprangeValue }: { readonly cliprangeValue: number },
): { losses: Tensor; clipped: Tensor | undefined } {
  const squares = unary(tape, "square", sub(tape, values, returns));
  if (cliprangeValue === 0) return { losses: affine(tape, squares, 0.5), clipped: undefined };
  // Not V_old + clip(V - V_old): within the range the value must come out as it is, to the last bit, or rounding counts as clipping.
  const least = { ...affine(tape, oldValues, 1, -cliprangeValue) };
  const most = { ...affine(tape, oldValues, 1, cliprangeValue) };
  const clippedValues = binary(tape, "min", binary(tape, "max", values, least), most);
  const clippedSquares = unary(tape, "square", sub(tape, clippedValues, returns));
  return {
    losses: affine(tape, binary(tape, "max", squares, clippedSquares), 0.5),
    clipped: binary(tape, "greater", { ...clippedSquares }, { ...squares }),
  };
}
