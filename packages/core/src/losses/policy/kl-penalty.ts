/**
 * PPO's other surrogate: no clip, but a price on the distance to the policy before the update.
 *
 *   L_t = -r_t A_t + β KL_t,   r_t = exp(x_t),   KL_t = r_t - 1 - x_t,   x_t = clamp(logp_t - old_t, ±20)
 *
 * Schulman et al. 2017, equation 8. Departure: KL(π_old ‖ π) is not summed over the vocabulary but estimated at the sampled tokens (k3). They were drawn
 * from π_old, so that value and gradient are both unbiased (tested by enumeration), and the estimate's gradient is exactly 0 where π = π_old.
 */
import { add, affine, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { PolicyInputs } from "./inputs";
import { klEstimate } from "./kl";
import { ratioLoss } from "./policy-gradient";
import { LOG_RATIO_LIMIT, logRatios } from "./ratios";

/** losses (M), and `kl` (M), which is part of them. */
export function klPenaltyLoss(
  tape: Tape,
  inputs: Pick<PolicyInputs, "logps" | "oldLogps" | "advantages">,
  { beta }: { readonly beta: number },
): { losses: Tensor; kl: Tensor } {
  const x = unary(tape, "clamp", logRatios(tape, inputs), -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
  const surrogate = ratioLoss(tape, { ratios: unary(tape, "exp", x), advantages: inputs.advantages });
  const kl = klEstimate(tape, affine(tape, x, -1), "k3");
  return { losses: add(tape, surrogate.losses, affine(tape, kl, beta)), kl };
}
