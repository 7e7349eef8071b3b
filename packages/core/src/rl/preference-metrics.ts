/** TRL's metric names for preferences and reward models, computed from plain numbers. */
import type { Metrics } from "./metrics";

const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

/** Rewards and log-probabilities of the pairs of a step, (P) each. */
export interface PairRecord {
  readonly chosenRewards: ArrayLike<number>;
  readonly rejectedRewards: ArrayLike<number>;
  readonly chosenLogps: ArrayLike<number>;
  readonly rejectedLogps: ArrayLike<number>;
}

/** `rewards/chosen`, `rejected`, `accuracies` (share of pairs with the larger reward on the chosen side), `margins`; `logps/chosen`, `rejected`. */
export function pairMetrics({ chosenRewards, rejectedRewards, chosenLogps, rejectedLogps }: PairRecord): Metrics {
  const rejected = Array.from(rejectedRewards);
  return {
    "rewards/chosen": mean(chosenRewards),
    "rewards/rejected": mean(rejectedRewards),
    "rewards/accuracies": mean(rejected.map((reward, i) => ((chosenRewards[i] as number) > reward ? 1 : 0))),
    "rewards/margins": mean(rejected.map((reward, i) => (chosenRewards[i] as number) - reward)),
    "logps/chosen": mean(chosenLogps),
    "logps/rejected": mean(rejectedLogps),
  };
}

/** `min_reward`, `mean_reward`, `max_reward` over all scores. */
export function scoreMetrics(scores: ArrayLike<number>): Metrics {
  const all = Array.from(scores);
  return { min_reward: Math.min(...all), mean_reward: mean(all), max_reward: Math.max(...all) };
}

/** `accuracy` and `margin` over pairs of scores, (P) each; a tie counts as wrong. */
export function comparisonMetrics(better: ArrayLike<number>, worse: ArrayLike<number>): Metrics {
  const margins = Array.from(better, (score, i) => score - (worse[i] as number));
  return { accuracy: mean(margins.map((margin) => (margin > 0 ? 1 : 0))), margin: mean(margins) };
}
