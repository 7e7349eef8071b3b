/** Stepwise labels to rewards of steps. */
import { ConfigError } from "../../errors";
import { type Conversion, convertEach } from "../conversion";
import { readStepwise } from "../feedback";
import type { DatasetRow } from "../jsonl";

export interface ProcessRewardOptions {
  /** Reward of a right step. Default 1. */
  readonly rightReward?: number | undefined;
  /** Reward of a wrong step. Default -1. */
  readonly wrongReward?: number | undefined;
}

/** `labels` as `rewards`: `rightReward`, `wrongReward`, or for a probability the expected one of the two. */
export function stepwiseToProcessRewards(rows: readonly DatasetRow[], options: ProcessRewardOptions = {}): Conversion {
  const { rightReward = 1, wrongReward = -1 } = options;
  if (!Number.isFinite(rightReward) || !Number.isFinite(wrongReward)) {
    throw new ConfigError(
      `stepwiseToProcessRewards: rightReward and wrongReward must be finite, got ${rightReward} and ${wrongReward}. Correct them.`,
    );
  }
  return convertEach(rows, (row, line) => {
    const { prompt, completions, values, columns } = readStepwise(row, line);
    return [{ ...columns, prompt, completions, rewards: values.map((p) => p * rightReward + (1 - p) * wrongReward) }];
  });
}
