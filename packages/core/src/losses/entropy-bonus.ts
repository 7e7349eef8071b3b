/** The entropy bonus: loss -= coefficient · Σ w_t H_t, with H_t the entropy of the policy at token t. */
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import { type Roots, weighted } from "./objective";

/**
 * entropies (M); `weights` = coefficient · w (entropyWeight), the same for every token or one each (M), 0 for tokens that take no part.
 * The loss itself is read off the sum of entropies.
 */
export function entropyBonus(tape: Tape, entropies: Tensor, weights: number | ArrayLike<number>): Roots {
  return weighted(tape, entropies, typeof weights === "number" ? -weights : Float32Array.from(weights, (weight) => -weight));
}
