/** Making reward functions: their names, and the common case of scoring one completion at a time. */
import { RewardError } from "../errors";
import type { RewardArguments, RewardFunction } from "../rl/rewards";
import { completionText } from "./completion-text";

/** Options of every built-in reward. */
export interface NamedRewardOptions {
  /** The name that metrics go by: `rewards/<name>/mean`. Give two uses of one reward different names. */
  readonly name?: string | undefined;
}

/** Gives a reward function the name that its metrics go by, and returns it. */
export function namedReward(name: string, reward: RewardFunction): RewardFunction {
  return Object.defineProperty(reward, "name", { value: name });
}

/** A reward of each completion's text by itself; null where it does not apply. */
export function textReward(name: string, score: (text: string) => number | null): RewardFunction {
  return namedReward(name, ({ completions }) => completions.map((completion) => score(completionText(completion))));
}

/**
 * A reward of each completion's text and its row's value in a dataset column. A row without a value (null) has no reward. Throws
 * RewardError where the dataset has no such column.
 */
export function columnReward(name: string, column: string, score: (text: string, value: unknown) => number | null): RewardFunction {
  return namedReward(name, (args) => {
    const values = rewardColumn(args, column, name);
    return args.completions.map((completion, b) => {
      const value = values[b] ?? null;
      return value === null ? null : score(completionText(completion), value);
    });
  });
}

/** A dataset column (B). Throws RewardError where the dataset has none of that name. */
export function rewardColumn(args: RewardArguments, column: string, where: string): readonly unknown[] {
  const values = args[column];
  if (Array.isArray(values) && values.length === args.completions.length) return values;
  const known = Object.entries(args).filter(([, value]) => Array.isArray(value));
  throw new RewardError(
    `${where}: the dataset must have a column "${column}", got ${known.map(([name]) => name).join(", ")}. Name the right column in its options.`,
  );
}
