/**
 * The clipped token surrogate of PPO and GRPO with the KL term in the loss.
 *
 *   L_t = -min(min(r_t, δ) A, clip(r_t, 1 - ε_low, 1 + ε_high) A) + β k3_t,   loss = Σ w_t L_t
 *   r_t = exp(logp_t - old_t),   k3_t = exp(d_t) - d_t - 1,   d_t = ref_t - logp_t
 *
 * PPO: Schulman et al. 2017, equation 7. GRPO: Shao et al. 2024, equation 3. Matches TRL's GRPOTrainer._compute_loss.
 * Departures: the log-ratio is clamped to ±20, and a token with mask 0 gives exactly 0 whatever its inputs hold.
 */
import { ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { Roots } from "./objective";

/** Flat per-token values, each (M); all but `logps` are constants. */
export interface PolicyInputs {
  /** log π(o_t): gradients start here. */
  readonly logps: Tensor;
  /** log π_old(o_t); `logps` itself on the first step over fresh completions, where the ratio is then exactly 1. */
  readonly oldLogps: Tensor;
  /** log π_ref(o_t); without it there is no KL. */
  readonly refLogps?: Tensor | undefined;
  readonly advantages: Tensor;
  /** The reduction: {@link tokenWeights}. */
  readonly weights: Tensor;
  /** 1 = counts. */
  readonly mask: Tensor;
}

export interface PolicyLossOptions {
  /** The ratio is clipped to [1 - epsilonLow, 1 + epsilonHigh]. */
  readonly epsilonLow: number;
  readonly epsilonHigh: number;
  /** Two-sided clip: cap of the unclipped ratio; 0 = none. */
  readonly delta: number;
  /** Coefficient of the KL term. */
  readonly beta: number;
}

/** Writes the metric sums (8, see POLICY_SUMS; `loss` among them) into `sums` and returns the gradient. */
export function policyLoss(tape: Tape, inputs: PolicyInputs, options: PolicyLossOptions, sums: Tensor): Roots {
  const { epsilonLow, epsilonHigh, delta, beta } = options;
  const dlogps = tape.alloc(inputs.logps.shape);
  tape.run(
    ops.policyLoss.fused,
    { ...inputs, dlogps, sums },
    { Q: sums.shape[0] as number, epsilon_low: epsilonLow, epsilon_high: epsilonHigh, delta, beta },
  );
  return [[inputs.logps, dlogps]];
}
