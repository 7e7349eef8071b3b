/**
 * The two surrogates without a clip.
 *
 *   policyGradientLoss: L_t = -A_t logp_t      REINFORCE (Williams 1992), A2C, ReMax, GPG
 *   ratioLoss:          L_t = -A_t r_t         TRPO (Schulman et al. 2015, equation 14), PPO with a KL penalty (Schulman et al. 2017, equation 8)
 *
 * Their gradients agree where the policy is the one that sampled.
 */
import { affine, mul } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

/** logps, advantages (M) -> losses (M) */
export function policyGradientLoss(
  tape: Tape,
  { logps, advantages }: { readonly logps: Tensor; readonly advantages: Tensor },
): { losses: Tensor } {
  return { losses: affine(tape, mul(tape, logps, advantages), -1) };
}

/** ratios, advantages (M) -> losses (M) */
export function ratioLoss(
  tape: Tape,
  { ratios, advantages }: { readonly ratios: Tensor; readonly advantages: Tensor },
): { losses: Tensor } {
  return { losses: affine(tape, mul(tape, ratios, advantages), -1) };
}
