/** Calling a reward function as a trainer does. */
import type { Turns } from "../src/data/formats";
import type { RewardFunction, RewardValues } from "../src/rl/rewards";

export interface RewardCall {
  readonly completions: readonly Turns[];
  /** Default: one prompt for all. */
  readonly prompts?: readonly Turns[];
  /** Tokens of each completion. Default: one per character of a text. */
  readonly ids?: readonly ArrayLike<number>[];
  readonly columns?: Readonly<Record<string, readonly unknown[]>>;
  readonly signal?: AbortSignal;
}

export interface RewardOutcome {
  readonly values: RewardValues;
  readonly extras: Readonly<Record<string, readonly unknown[]>>;
  readonly metrics: Readonly<Record<string, number>>;
}

/** What a reward says, and what it logs. */
export async function callReward(reward: RewardFunction, call: RewardCall): Promise<RewardOutcome> {
  const { completions, prompts = completions.map(() => "p"), columns = {}, signal = new AbortController().signal } = call;
  const ids = call.ids ?? completions.map((completion) => Array.from({ length: completion.length }, (_, i) => i));
  const extras: Record<string, readonly unknown[]> = {};
  const metrics: Record<string, number> = {};
  const values = await reward({
    ...columns,
    prompts,
    completions,
    completionIds: ids.map((tokens) => Uint32Array.from(tokens)),
    trainerState: { globalStep: 0, maxSteps: 1, epoch: 0 },
    signal,
    logExtra: (column, logged) => {
      extras[column] = logged;
    },
    logMetric: (name, value) => {
      metrics[name] = value;
    },
  });
  return { values, extras, metrics };
}

/** Only what it says. */
export async function rewardsOf(reward: RewardFunction, call: RewardCall): Promise<RewardValues> {
  return (await callReward(reward, call)).values;
}
