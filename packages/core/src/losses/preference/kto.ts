/**
 * Kahneman-Tversky optimisation: completions that are each marked good or bad, without pairs.
 *
 *   x(y) = log π(y) - log π_ref(y),   s = 1 for a desirable completion, -1 for an undesirable one
 *   losses_i = w_i σ(-s β (x(y_i) - z)),   which is w (1 - σ(β (x - z))) or w (1 - σ(β (z - x)))
 *
 * z is a baseline, max(0, an estimate of KL(π ‖ π_ref)), the same for all completions of the step: {@link ktoBaseline}. With z = 0 it is
 * APO-zero without pairs. KTO: Ethayarajh et al. 2024, equation 8; apo_zero_unpaired: D'Oosterlinck et al. 2024. Matches TRL's KTOTrainer.
 * Departure: TRL takes z from a micro-batch.
 */
import { affine, mul, sub, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

/** Completions by themselves, (S) each; all but `logps` are constants. */
export interface UnpairedInputs {
  /** log π(y), summed over tokens. Gradients start here. */
  readonly logps: Tensor;
  readonly refLogps: Tensor;
  /** 1 desirable, -1 undesirable. */
  readonly signs: Tensor;
}

export interface UnpairedLosses {
  /** (S) */
  readonly losses: Tensor;
  /** β x(y), for metrics. (S) */
  readonly rewards: Tensor;
}

export interface KtoLossOptions {
  readonly beta: number;
  /** z; 0 for apo_zero_unpaired. */
  readonly baseline: number;
  /** w of desirable completions. */
  readonly desirableWeight: number;
  readonly undesirableWeight: number;
}

export function ktoLoss(tape: Tape, { logps, refLogps, signs }: UnpairedInputs, options: KtoLossOptions): UnpairedLosses {
  const { beta, baseline, desirableWeight, undesirableWeight } = options;
  const rewards = affine(tape, sub(tape, logps, refLogps), beta);
  const losses = unary(tape, "sigmoid", affine(tape, mul(tape, signs, affine(tape, rewards, 1, -beta * baseline)), -1));
  const weights = affine(tape, signs, (desirableWeight - undesirableWeight) / 2, (desirableWeight + undesirableWeight) / 2);
  return { losses: mul(tape, losses, weights), rewards };
}

/**
 * z = max(0, mean of log π(y') - log π_ref(y')) over mismatched completions: y' answers another prompt of the step than the one it is
 * scored with. Values of the whole step, (S) each, without gradient.
 */
export function ktoBaseline(mismatchedLogps: ArrayLike<number>, mismatchedRefLogps: ArrayLike<number>): number {
  const total = Array.from(mismatchedLogps, (logp, i) => logp - (mismatchedRefLogps[i] as number)).reduce((a, b) => a + b, 0);
  return Math.max(0, total / mismatchedLogps.length);
}
