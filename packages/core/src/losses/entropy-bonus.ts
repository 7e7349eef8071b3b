/** The entropy bonus: loss -= coefficient · Σ w_t H_t, with H_t the entropy of the policy at token t. */
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { Roots } from "./objective";

/** entropies (M); `weight` = coefficient · w is the same for every token (entropyWeight). The loss itself is read off the sum of entropies. */
export function entropyBonus(tape: Tape, entropies: Tensor, weight: number): Roots {
  const gradient = new Float32Array(entropies.shape[0] as number).fill(-weight);
  return [[entropies, tape.constant(gradient)]];
}
