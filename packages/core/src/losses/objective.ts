/** What every objective gives back: where its gradient enters the tape. */
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";

/** Tensors of the tape with the gradients that start there: the argument of `tape.backward`. */
export type Roots = readonly (readonly [tensor: Tensor, gradient: Tensor])[];

/**
 * The reduction loss = Σ w_i losses_i of an unreduced objective, losses (K): its gradient is w itself, so that no op is needed. One weight
 * for every element, or one each (K); denominators belong in the weights and are those of the whole optimiser step.
 */
export function weighted(tape: Tape, losses: Tensor, weights: number | ArrayLike<number>): Roots {
  const count = losses.shape[0] as number;
  const gradient = typeof weights === "number" ? new Float32Array(count).fill(weights) : Float32Array.from(weights);
  return [[losses, tape.constant(gradient)]];
}
