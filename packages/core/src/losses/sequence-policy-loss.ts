/**
 * The clipped surrogate with one importance ratio per completion (GSPO), and the per-token KL term.
 *
 *   r_s = exp(mean over counting tokens of (logp_t - old_t)),   L_s = -min(min(r_s, δ) A_s, clip(r_s, 1 - ε_low, 1 + ε_high) A_s)
 *   loss = Σ_s W_s L_s + β Σ_t w_t k3_t,   W_s = Σ of the weights of its counting tokens
 *
 * GSPO: Zheng et al. 2025, equations 5 to 7. Matches TRL's GRPOTrainer with importance_sampling_level="sequence".
 * Departure: the mean log-ratio is clamped to ±20.
 */
import { ops } from "@trimtab/kernels";
import { affine, binary, mul, sub, unary } from "../autograd/elementwise";
import { segmentSum, sum } from "../autograd/segment";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { Roots } from "./objective";
import { type PolicyInputs, type PolicyLossOptions, policyLoss } from "./policy-loss";

/** Per-token values as in {@link PolicyInputs}, and per-completion constants, each (S). */
export interface SequencePolicyInputs extends Omit<PolicyInputs, "advantages"> {
  /** Tokens of completion s are [offsets[s], offsets[s + 1]). u32 (S + 1) */
  readonly offsets: Tensor;
  /** 1 / counting tokens; 0 for a completion without any. */
  readonly inverseLengths: Tensor;
  readonly sequenceAdvantages: Tensor;
  /** W_s */
  readonly sequenceWeights: Tensor;
}

const LOG_RATIO_LIMIT = 20;

/** Writes the KL term's sums into `sums` (8) and the surrogate's loss into `surrogate` (1), and returns the gradients. */
export function sequencePolicyLoss(
  tape: Tape,
  inputs: SequencePolicyInputs,
  options: PolicyLossOptions,
  sums: Tensor,
  surrogate: Tensor,
): Roots {
  const { logps, oldLogps, refLogps, weights, mask, offsets, inverseLengths, sequenceAdvantages, sequenceWeights } = inputs;
  const { epsilonLow, epsilonHigh, delta } = options;
  /** A handle of its own: where it is `logps` itself, no gradient may flow into it. */
  const old = { ...oldLogps };

  // With advantages of 0 the fused op is the KL term alone.
  const zeros = tape.constant(new Float32Array(logps.shape[0] as number));
  const kl = policyLoss(tape, { logps, oldLogps, refLogps, advantages: zeros, weights, mask }, options, sums);

  const logRatios = binary(tape, "keep", sub(tape, logps, old), mask); // (M)
  const meanLogRatio = mul(tape, segmentSum(tape, logRatios, offsets), inverseLengths); // (S)
  const ratio = unary(tape, "exp", unary(tape, "clamp", meanLogRatio, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)); // (S)
  const capped = delta > 0 ? unary(tape, "clamp", ratio, 0, delta) : ratio;
  const clipped = unary(tape, "clamp", ratio, 1 - epsilonLow, 1 + epsilonHigh);
  const objective = binary(tape, "min", mul(tape, capped, sequenceAdvantages), mul(tape, clipped, sequenceAdvantages)); // (S)
  const loss = affine(tape, sum(tape, mul(tape, objective, sequenceWeights)), -1); // (1)
  tape.run(ops.segment.sum, { x: loss, offsets: tape.constant(Uint32Array.of(0, 1)), y: surrogate });
  return [...kl, [loss, tape.constant(Float32Array.of(1))]];
}
