/** Stepwise labels to rewards of steps. */
import { ConfigError } from "../../errors";
import { type Conversion, convertEach } from "../conversion";
import { readStepwise } from "../feedback";
import type { DatasetRow } from "../jsonl";

export interface ProcessRewardOptions {
  /** Reward of a right step. Default 1. */
  readonly right?: number | undefined;
  /** Reward of a wrong step. Default -1. */
  readonly wrong?: number | undefined;
}

/** `labels` as `rewards`: `right`, `wrong`, or for a probability the expected one of the two. */
export function stepwiseToProcessRewards(rows: readonly DatasetRow[], options: ProcessRewardOptions = {}): Conversion {
  const { right = 1, wrong = -1 } = options;
  if (!Number.isFinite(right) || !Number.isFinite(wrong)) {
    throw new ConfigError(`stepwiseToProcessRewards: right and wrong must be finite, got ${right} and ${wrong}. Correct them.`);
  }
  return convertEach(rows, (row, line) => {
    const { prompt, completions, values, columns } = readStepwise(row, line);
    return [{ ...columns, prompt, completions, rewards: values.map((p) => p * right + (1 - p) * wrong) }];
  });
}
