/**
 * Binary classifier optimisation: completions that are each marked good or bad, told apart by a logistic classifier.
 *
 *   losses_i = w_i · -log σ(s (β x(y_i) - δ)),   x = log π - log π_ref,   s = 1 desirable, -1 undesirable
 *
 * δ is the running mean of the steps' mean rewards β x, a constant of the step. w corrects for prompts that occur mostly with one label
 * (underlying distribution matching): a density ratio for undesirable completions, else 1. Jung et al. 2024, equations 11 and 17. Matches
 * TRL's BCOTrainer. Departure: TRL's mean moves with every micro-batch.
 */
import { hostMath } from "@trimtab/kernels";
import { affine, mul, sub } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { UnpairedInputs, UnpairedLosses } from "./kto";
import { logisticLoss } from "./margin-losses";

export interface BcoInputs extends UnpairedInputs {
  /** w, constants: {@link densityRatio}. Default 1. (S) */
  readonly weights?: Tensor | undefined;
}

export interface BcoLossOptions {
  readonly beta: number;
  /** δ: `mean` of the {@link RunningMean}, this step included. */
  readonly delta: number;
}

export function bcoLoss(tape: Tape, { logps, refLogps, signs, weights }: BcoInputs, { beta, delta }: BcoLossOptions): UnpairedLosses {
  const rewards = affine(tape, sub(tape, logps, refLogps), beta);
  const losses = logisticLoss(tape, mul(tape, signs, affine(tape, rewards, 1, -delta)));
  return { losses: weights ? mul(tape, losses, weights) : losses, rewards };
}

/** Mean of what has been seen so far: plain state of a run. */
export interface RunningMean {
  readonly count: number;
  readonly mean: number;
}

export const emptyRunningMean: RunningMean = { count: 0, mean: 0 };

/** With one more value: for BCO the mean reward β x over a step's completions. */
export function extendMean({ count, mean }: RunningMean, value: number): RunningMean {
  return { count: count + 1, mean: mean + (value - mean) / (count + 1) };
}

export interface DensityRatioLimits {
  /** Default 0.5. */
  readonly minDensityRatio?: number;
  /** Default 10. */
  readonly maxDensityRatio?: number;
}

/**
 * w of an undesirable completion: p / (1 - p) within limits, with p the probability, by a classifier of the caller's, that its prompt is
 * of a desirable one. `logit` = log(p / (1 - p)).
 */
export function densityRatio(logit: number, { minDensityRatio = 0.5, maxDensityRatio = 10 }: DensityRatioLimits = {}): number {
  return Math.min(Math.max(hostMath.exp(logit), minDensityRatio), maxDensityRatio);
}
