/**
 * TRL's `loss_type` as per-token weights: loss = Σ_t w_t L_t over the tokens of one optimiser step.
 *
 * Every denominator belongs to the whole optimiser step and is known before its first micro-batch, so a step's gradient does
 * not depend on how it is split. Departure: TRL's grpo, bnpo and dr_grpo average over micro-batches, which weighs the
 * micro-batches of a bnpo step equally instead of its tokens; with one micro-batch the two agree.
 */

/** The names that TRL gives the reductions. */
export type LossType = "grpo" | "bnpo" | "dr_grpo" | "dapo";

/** What the denominators are made of. */
export interface StepTotals {
  /** Completions in the optimiser step; fully masked ones are counted, as in TRL. */
  readonly sequences: number;
  /** Tokens that count in the optimiser step. */
  readonly tokens: number;
  /** Tokens that count in the whole generation batch, divided by the optimiser steps of one pass over it. */
  readonly generationTokens: number;
  /** Longest completion that may be generated. */
  readonly maxCompletionLength: number;
}

/** The weight of each counting token of a completion that has `length` of them. */
export type TokenWeight = (length: number, totals: StepTotals) => number;

/**
 * grpo: mean over completions of token means (DeepSeekMath). bnpo: mean over the step's tokens. dr_grpo: sum over completions
 * and the constant B · Lmax (Dr. GRPO). dapo: mean over tokens, with the generation batch's count.
 */
export const tokenWeights: Readonly<Record<LossType, TokenWeight>> = {
  grpo: (length, { sequences }) => 1 / (sequences * Math.max(1, length)),
  bnpo: (_, { tokens }) => 1 / Math.max(1, tokens),
  dr_grpo: (_, { sequences, maxCompletionLength }) => 1 / (sequences * maxCompletionLength),
  dapo: (_, { generationTokens }) => 1 / Math.max(1, generationTokens),
};

/** The weight of each token's entropy in the bonus: the mean over tokens, with dapo's own denominator for dapo (as in TRL). */
export function entropyWeight(lossType: LossType, totals: StepTotals): number {
  return 1 / Math.max(1, lossType === "dapo" ? totals.generationTokens : totals.tokens);
}
