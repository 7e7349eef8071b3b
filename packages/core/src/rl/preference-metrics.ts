/** TRL's metric names for preferences and reward models, computed from plain numbers. */
import { mean } from "./mean";
import type { Metrics } from "./metrics";

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

/** Rewards and log-probabilities of completions that are each good or bad, (S) each. */
export interface UnpairedRecord {
  readonly rewards: ArrayLike<number>;
  readonly logps: ArrayLike<number>;
  /** true: good. */
  readonly labels: readonly boolean[];
}

/** `rewards/chosen`, `logps/chosen` of the good ones, `rewards/rejected`, `logps/rejected` of the bad ones, where there are any, and `rewards/margins`. */
export function unpairedMetrics({ rewards, logps, labels }: UnpairedRecord): Metrics {
  const meanOf = (values: ArrayLike<number>, wanted: boolean) => mean(Array.from(values).filter((_, i) => labels[i] === wanted));
  const [chosen, rejected] = [meanOf(rewards, true), meanOf(rewards, false)];
  const metrics = {
    "rewards/chosen": chosen,
    "rewards/rejected": rejected,
    "rewards/margins": chosen - rejected,
    "logps/chosen": meanOf(logps, true),
    "logps/rejected": meanOf(logps, false),
  };
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => !Number.isNaN(value)));
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

/** `accuracy`: share of scores on the right side of 0 for labels 1 and 0; `margin`: mean score of the former minus that of the latter. */
export function labelMetrics(scores: ArrayLike<number>, labels: readonly number[]): Metrics {
  const all = Array.from(scores);
  const meanOf = (label: number) => mean(all.filter((_, i) => labels[i] === label));
  const margin = meanOf(1) - meanOf(0);
  return {
    accuracy: mean(all.map((score, i) => (score > 0 === (labels[i] as number) > 0.5 ? 1 : 0))),
    ...(Number.isNaN(margin) ? {} : { margin }),
  };
}

/** `mae`: mean absolute difference of score and rating. */
export function ratingMetrics(scores: ArrayLike<number>, ratings: readonly number[]): Metrics {
  return { mae: mean(Array.from(scores, (score, i) => Math.abs(score - (ratings[i] as number)))) };
}
