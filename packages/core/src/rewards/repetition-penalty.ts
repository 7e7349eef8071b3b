/** A penalty for saying the same thing again: the share of repeated n-grams. */
import type { RewardFunction } from "../rl/rewards";
import { completionText } from "./completion-text";
import { type NamedRewardOptions, namedReward } from "./named-reward";
import { requireOptions } from "./require-options";

export interface RepetitionPenaltyRewardOptions extends NamedRewardOptions {
  /** Items of an n-gram. Default 3. */
  readonly ngramSize?: number | undefined;
  /** Reward towards which a fully repetitive completion goes; at most 0. Default -1. */
  readonly maxPenalty?: number | undefined;
  /** "tokens" as TRL, "words" (lower case, between white space) as open-r1. Default "tokens". */
  readonly unit?: "tokens" | "words" | undefined;
}

/**
 * Reward `repetition_penalty_reward`: maxPenalty · (1 - distinct n-grams / n-grams), in [maxPenalty, 0]; 0 below ngramSize items.
 * Yeo et al. 2025 (arXiv 2502.03373), appendix C.2, as TRL's get_repetition_penalty_reward.
 */
export function repetitionPenaltyReward(options: RepetitionPenaltyRewardOptions = {}): RewardFunction {
  const { name = "repetition_penalty_reward", ngramSize = 3, maxPenalty = -1, unit = "tokens" } = options;
  requireOptions(name, {
    ngramSize: [ngramSize, Number.isInteger(ngramSize) && ngramSize > 0, "a whole number above 0"],
    maxPenalty: [maxPenalty, Number.isFinite(maxPenalty) && maxPenalty <= 0, "a number of at most 0"],
  });
  return namedReward(name, ({ completions, completionIds }) =>
    completions.map((completion, b) => {
      const items = unit === "tokens" ? [...(completionIds[b] as Uint32Array)] : wordsOf(completionText(completion));
      const repeated = repeatedShare(items, ngramSize);
      return repeated === 0 ? 0 : maxPenalty * repeated;
    }),
  );
}

/** 1 - distinct n-grams / n-grams; 0 where there is none. */
function repeatedShare(items: readonly (number | string)[], n: number): number {
  const total = items.length - n + 1;
  if (total < 1) return 0;
  const distinct = new Set(Array.from({ length: total }, (_, i) => items.slice(i, i + n).join(" ")));
  return 1 - distinct.size / total;
}

const wordsOf = (text: string) => text.toLowerCase().split(/\s+/u).filter(Boolean);
