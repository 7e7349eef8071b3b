/** What every DPO loss is a function of: one pair's log-ratios and scores, the constants that go with them, and the options. */
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

/** For every pair, what has the rank of its own value among the step's values. (P) each. */
export interface Matched<T> {
  /** The reference's gap log π_ref(c) - log π_ref(r) of the rank of the policy's gap. */
  readonly refGaps: T;
  /** The rejected log-ratio of the rank of the chosen one. */
  readonly rejectedLogratios: T;
  /** The chosen log-ratio of the rank of the rejected one. */
  readonly chosenLogratios: T;
}

/** Each (P). Gradients flow to all but the constants. */
export interface DpoPairs {
  /** log π(y) of the whole completion. */
  readonly chosenLogps: Tensor;
  readonly rejectedLogps: Tensor;
  /** x = log π - log π_ref */
  readonly chosenLogratios: Tensor;
  readonly rejectedLogratios: Tensor;
  /** The log-ratios as the f-divergence maps them; themselves for the reverse KL. */
  readonly chosenScores: Tensor;
  readonly rejectedScores: Tensor;
  /** D = chosenScores - rejectedScores */
  readonly scoreGaps: Tensor;
  /** What `sft` maximises: Σ log π of the chosen completion's tokens, unweighted. */
  readonly chosenTokenSums: Tensor;
  /** 1 / tokens of the completion, constants. */
  readonly chosenInverseLengths: Tensor;
  readonly rejectedInverseLengths: Tensor;
  /** Constants of the whole step; `aot` and `aot_unpaired` need them. */
  readonly matched: Matched<Tensor> | undefined;
}

export interface DpoTermOptions {
  /** Strength of the pull to the reference. */
  readonly beta: number;
  /** ε: the chance that a label is wrong. Read by cdpo, robust, exo_pair (which needs it above 0), aot and aot_unpaired. */
  readonly labelSmoothing: number;
  /** Temperature of discopop's blend. */
  readonly discopopTau: number;
  /** Tokens of the step's chosen completions divided by its pairs: makes `sft` a mean over tokens. */
  readonly meanChosenLength: number;
}

/** One objective, unreduced: a value for every pair, (P). */
export type DpoTerm = (tape: Tape, pairs: DpoPairs, options: DpoTermOptions) => Tensor;
