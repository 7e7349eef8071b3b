/** The entropy bonus: loss -= coefficient · Σ w_t H_t, with H_t the entropy of the policy at token t. */
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import { type Roots, weighted } from "./objective";

/** entropies (M); `weight` = coefficient · w is the same for every token (entropyWeight). The loss itself is read off the sum of entropies. */
export function entropyBonus(tape: Tape, entropies: Tensor, weight: number): Roots {
  return weighted(tape, entropies, -weight);
}
