/** Negative log-likelihood of target tokens: loss = -Σ w_t logp_t, with w_t = 1 / (loss tokens of the whole optimiser step). */
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import { type Roots, weighted } from "./objective";

/** logps (M), one weight for every token. The gradient is the constant -w; the loss is read off the sum of log-probabilities. */
export function nllLoss(tape: Tape, logps: Tensor, weight: number): Roots {
  return weighted(tape, logps, -weight);
}
