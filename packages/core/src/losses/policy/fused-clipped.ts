/**
 * The clipped token surrogate with the k3 term, as one fused op: the hot case of {@link clippedSurrogate} at token level.
 *
 *   L_t = -min(min(r_t, δ) A_t, clip(r_t, 1 - ε_low, 1 + ε_high) A_t) + β k3_t,   loss = Σ w_t L_t
 *   r_t = exp(logp_t - old_t),   k3_t = exp(d_t) - d_t - 1,   d_t = ref_t - logp_t
 *
 * PPO: Schulman et al. 2017, equation 7. GRPO: Shao et al. 2024, equation 3. Matches TRL's GRPOTrainer._compute_loss.
 * Departure: the log-ratio is clamped to ±20.
 */
import { ops, POLICY_SUMS } from "@trimtab/kernels";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { ClipOptions } from "./clipped";
import type { PolicyInputs } from "./inputs";
import type { PolicyResult } from "./result";

export function fusedClippedLoss(
  tape: Tape,
  { logps, oldLogps, refLogps, advantages, weights }: PolicyInputs,
  { epsilonLow, epsilonHigh, delta }: ClipOptions,
  beta: number,
): PolicyResult {
  const dlogps = tape.alloc(logps.shape);
  const sums = tape.alloc([Object.keys(POLICY_SUMS).length]);
  const mask = tape.constant(new Float32Array(logps.shape[0] as number).fill(1));
  tape.run(
    ops.policyLoss.fused,
    { logps, oldLogps, refLogps, advantages, weights, mask, dlogps, sums },
    { Q: sums.shape[0] as number, epsilon_low: epsilonLow, epsilon_high: epsilonHigh, delta, beta },
  );
  return {
    roots: [[logps, dlogps]],
    loss: element(tape, sums, POLICY_SUMS.loss),
    kl: refLogps && element(tape, sums, POLICY_SUMS.k3),
  };
}

/** x[i] as a tensor of its own, (1). */
function element(tape: Tape, x: Tensor, i: number): Tensor {
  const y = tape.alloc([1]);
  tape.run(ops.segment.sum, { x, offsets: tape.constant(Uint32Array.of(i, i + 1)), y });
  return y;
}
