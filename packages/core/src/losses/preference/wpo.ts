/**
 * Weighted preference optimisation: pairs that the current policy would itself write count more.
 *
 *   w(y) = exp(mean over tokens of (log π(y_t) - log Σ_v p_v²)),   weight of a pair = w(chosen) w(rejected), a constant
 *
 * Zhou et al. 2024, equation 2 with the sampled alignment. Matches TRL's `use_weighting`.
 */
import { add, affine, mul, sub, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import { type PairTokens, pairSums } from "./pair-logps";

/** Per token, (M). */
export interface WpoInputs {
  readonly logps: Tensor;
  /** log Σ exp(z) of the logits z. */
  readonly lse: Tensor;
  /** log Σ exp(2z): `lse` of a second token-logprob at temperature 1/2. log Σ_v p_v² = lse(2z) - 2 lse(z). */
  readonly doubledLse: Tensor;
  /** 1 / tokens of each completion: `inverseLengths`. (P) */
  readonly chosenInverseLengths: Tensor;
  readonly rejectedInverseLengths: Tensor;
}

/** The pairs' weights (P). No gradient flows through them. */
export function wpoWeights(tape: Tape, inputs: WpoInputs, tokens: Omit<PairTokens, "weights">): Tensor {
  const [logps, lse, doubledLse] = [{ ...inputs.logps }, { ...inputs.lse }, { ...inputs.doubledLse }];
  const aligned = add(tape, sub(tape, logps, doubledLse), affine(tape, lse, 2));
  const { chosen, rejected } = pairSums(tape, aligned, tokens);
  const chosenMeans = mul(tape, chosen, inputs.chosenInverseLengths);
  return unary(tape, "exp", add(tape, chosenMeans, mul(tape, rejected, inputs.rejectedInverseLengths)));
}
