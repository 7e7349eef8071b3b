/**
 * TRL's `loss_type` as per-token weights: loss = Σ_t w_t L_t over the tokens of one optimiser step.
 *
 * Every denominator belongs to the whole optimiser step and is known before its first micro-batch, so a step's gradient does
 * not depend on how it is split. Departure: TRL's grpo, bnpo, dr_grpo, sapo and luspo average over micro-batches, which weighs the
 * micro-batches of a bnpo step equally instead of its tokens; with one micro-batch the two agree.
 */

/** The names that TRL gives the objectives; `gmpo` is a trainer of its own there. */
export type LossType = "grpo" | "bnpo" | "dr_grpo" | "dapo" | "cispo" | "sapo" | "luspo" | "vespo" | "gmpo";

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

/** Mean over completions of token means (DeepSeekMath). */
const meanOfMeans: TokenWeight = (length, { sequences }) => 1 / (sequences * Math.max(1, length));
/** Mean over tokens, with the generation batch's count. */
const generationMean: TokenWeight = (_, { generationTokens }) => 1 / Math.max(1, generationTokens);

/**
 * bnpo: mean over the step's tokens. dr_grpo: sum over completions and the constant B · Lmax (Dr. GRPO). luspo: mean over completions of token
 * sums, so that a completion's one ratio counts once for each of its tokens. Departure: TRL's snapshot averages luspo's KL term over padding too.
 */
export const tokenWeights: Readonly<Record<LossType, TokenWeight>> = {
  grpo: meanOfMeans,
  sapo: meanOfMeans,
  gmpo: meanOfMeans,
  bnpo: (_, { tokens }) => 1 / Math.max(1, tokens),
  dr_grpo: (_, { sequences, maxCompletionLength }) => 1 / (sequences * maxCompletionLength),
  luspo: (_, { sequences }) => 1 / sequences,
  dapo: generationMean,
  cispo: generationMean,
  vespo: generationMean,
};

/** verl's names for the reductions that are not tied to a loss type. */
export type LossAggregation = "token-mean" | "seq-mean-token-sum" | "seq-mean-token-mean" | "seq-mean-token-sum-norm";

/** seq-mean-token-sum is the policy gradient as the textbook has it: whole completions, averaged. Departure: verl's -norm does not divide by B. */
export const aggregationWeights: Readonly<Record<LossAggregation, TokenWeight>> = {
  "token-mean": tokenWeights.bnpo,
  "seq-mean-token-sum": tokenWeights.luspo,
  "seq-mean-token-mean": meanOfMeans,
  "seq-mean-token-sum-norm": tokenWeights.dr_grpo,
};

/**
 * The weight of each token's entropy in the bonus: the mean over the tokens that take part in it (all of the step's, or the most uncertain
 * ones), with their own denominator for the loss types that average over the generation batch (as in TRL).
 */
export function entropyWeight(lossType: LossType, totals: StepTotals, activeTokens: number = totals.tokens): number {
  const isGenerationMean = tokenWeights[lossType] === generationMean;
  return 1 / Math.max(1, isGenerationMean ? totals.generationTokens : activeTokens);
}
