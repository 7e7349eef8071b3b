/** Calling reward functions: several at once, checked, bounded in time, and combined into one reward per completion. */
import { combineRewards } from "@trimtab/kernels";
import type { Turns } from "../data/formats";
import { RewardError } from "../errors";
import { type Signal, type SignalLike, withDeadline } from "./abort";
import { LoggedMetrics } from "./logged-metrics";
import { mean } from "./mean";

/** How far training is, for rewards that change over time. */
export interface TrainerState {
  /** Optimiser steps taken. */
  readonly globalStep: number;
  readonly maxSteps: number;
  /** Passes over the dataset, fractional. */
  readonly epoch: number;
}

/** What a reward function receives; besides these, every dataset column but the prompt, repeated for each completion. */
export interface RewardArguments {
  /** Text, or messages where the dataset has them. (B) */
  readonly prompts: readonly Turns[];
  /** Text, or messages: one of the assistant's, or its turns and an environment's. (B) */
  readonly completions: readonly Turns[];
  /** The tokens, EOS included. (B) */
  readonly completionIds: readonly Uint32Array[];
  /** What each episode's environment rewarded, where completions come from one; `environmentReward` returns it. (B) */
  readonly environmentRewards?: RewardValues | undefined;
  readonly trainerState: TrainerState;
  /** Aborts when the result is no longer wanted: pass it to `fetch`. */
  readonly signal: Signal;
  /** Adds a column to the step's table of completions. (B) */
  readonly logExtra: (column: string, values: readonly unknown[]) => void;
  /** Adds a number to the step's metrics. */
  readonly logMetric: (name: string, value: number) => void;
  readonly [column: string]: unknown;
}

/** What one step of a completion earned; `end` is the index of its last token within the completion. */
export interface StepReward {
  readonly end: number;
  readonly value: number;
}

/** A reward with its parts, for algorithms that credit steps or tokens; the others use `total`. */
export interface RewardDetail {
  readonly total: number;
  /** Process supervision: in order of `end`. */
  readonly steps?: readonly StepReward[] | undefined;
  /** One value per token of the completion. (T) */
  readonly tokens?: ArrayLike<number> | undefined;
}

export type Reward = number | RewardDetail;

/** One reward per completion; null where the function does not apply. */
export type RewardValues = readonly (Reward | null | undefined)[];

/** Scores completions. Its `name` names its metrics: `rewards/<name>/mean`. */
export type RewardFunction = (args: RewardArguments) => RewardValues | Promise<RewardValues>;

/** One generation batch to be scored. */
export interface RewardBatch {
  readonly prompts: readonly Turns[];
  readonly completions: readonly Turns[];
  readonly completionIds: readonly Uint32Array[];
  /** Dataset columns, each (B). */
  readonly columns: Readonly<Record<string, readonly unknown[]>>;
  readonly environmentRewards?: RewardValues | undefined;
  readonly trainerState: TrainerState;
}

export interface RewardOptions {
  readonly functions: readonly RewardFunction[];
  /** One per function; default 1 each. */
  readonly weights?: readonly number[] | undefined;
  /** "skip" counts what fails as null instead of throwing. Default "throw". */
  readonly onRewardError?: "throw" | "skip" | undefined;
  /** Longest that one call may take; undefined = no bound. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: SignalLike | undefined;
}

export interface ScoredBatch {
  /** Rewards by function name, each (B). */
  readonly byName: ReadonlyMap<string, readonly (number | null)[]>;
  /** Weighted sums of what applies; NaN where nothing does. (B) */
  readonly rewards: Float64Array;
  /** The weighted step rewards of all functions, in order of their ends; undefined where none gave any. (B) */
  readonly steps: readonly (readonly StepReward[] | undefined)[];
  /** The weighted sum of the token rewards, each (T); undefined where no function gave any. (B) */
  readonly tokens: readonly (Float64Array | undefined)[];
  /** Columns from `logExtra`. */
  readonly extras: Readonly<Record<string, readonly unknown[]>>;
  /** Numbers from `logMetric`, averaged per name. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Values and calls that failed and were skipped. */
  readonly failures: number;
}

/** The name a function's metrics go by. */
export function rewardName(fn: RewardFunction, index: number): string {
  return fn.name === "" ? `reward_${index}` : fn.name;
}

/** Calls every function, concurrently where they are async. Throws RewardError naming the function (and completion) that failed. */
export async function scoreCompletions(batch: RewardBatch, options: RewardOptions): Promise<ScoredBatch> {
  const { functions, weights, onRewardError = "throw", timeoutMs, signal } = options;
  const count = batch.completions.length;
  const extras: Record<string, readonly unknown[]> = {};
  const logged = new LoggedMetrics();
  let failures = 0;

  const call = async (fn: RewardFunction, index: number): Promise<(RewardDetail | null)[]> => {
    const name = rewardName(fn, index);
    const args = (own: Signal): RewardArguments => ({
      ...batch.columns,
      prompts: batch.prompts,
      completions: batch.completions,
      completionIds: batch.completionIds,
      environmentRewards: batch.environmentRewards,
      trainerState: batch.trainerState,
      signal: own,
      logExtra: (column, values) => {
        extras[column] = requireLength(`${name}: logExtra("${column}")`, values, count);
      },
      logMetric: (metric, value) => logged.log(metric, value),
    });
    const onTimeout = () =>
      new RewardError(`reward \`${name}\`: it must settle within ${timeoutMs} ms, got no result. Raise rewardTimeoutMs or make it faster.`);
    let values: unknown;
    try {
      values = await withDeadline(async (own) => fn(args(own)), { timeoutMs, onTimeout, outer: signal });
      requireLength(name, values, count);
    } catch (cause) {
      signal?.throwIfAborted();
      if (onRewardError === "throw") throw asRewardError(name, cause);
      failures++;
      return new Array<null>(count).fill(null);
    }
    return Array.from(values as ArrayLike<unknown>, (value, i) => {
      if (value === null || value === undefined) return null;
      const detail: RewardDetail = typeof value === "object" ? (value as RewardDetail) : { total: value as number };
      const problem = problemOf(detail, batch.completionIds[i]?.length ?? 0);
      if (problem === undefined) return detail;
      if (onRewardError === "throw") {
        throw new RewardError(`reward \`${name}\`: ${problem} for completion ${i}. Correct the function.`);
      }
      failures++;
      return null;
    });
  };

  const columns = await Promise.all(functions.map(call));
  const rows = batch.completions.map((_, b) => columns.map((column) => (column[b] as RewardDetail | null)?.total ?? null));
  const weighted = batch.completions.map((_, b) =>
    columns.flatMap((column, k) => {
      const detail = column[b];
      return detail ? [{ detail, weight: weights?.[k] ?? 1 }] : [];
    }),
  );
  return {
    byName: new Map(functions.map((fn, i) => [rewardName(fn, i), rows.map((row) => row[i] as number | null)])),
    rewards: combineRewards(rows, weights ? { weights } : {}),
    steps: weighted.map(stepsOf),
    tokens: weighted.map(tokensOf),
    extras,
    metrics: logged.means(),
    failures,
  };
}

/** Batches scored by the same functions as one: values end to end, logged numbers averaged. */
export function joinScores(batches: readonly ScoredBatch[]): ScoredBatch {
  const [first] = batches;
  if (batches.length === 1 && first) return first;
  const names = [...new Set(batches.flatMap(({ byName }) => [...byName.keys()]))];
  const averaged = [...new Set(batches.flatMap(({ metrics }) => Object.keys(metrics)))];
  const columns = [...new Set(batches.flatMap(({ extras }) => Object.keys(extras)))];
  return {
    byName: new Map(names.map((name) => [name, batches.flatMap(({ byName }) => byName.get(name) ?? [])])),
    rewards: Float64Array.from(batches.flatMap(({ rewards }) => [...rewards])),
    steps: batches.flatMap(({ steps }) => steps),
    tokens: batches.flatMap(({ tokens }) => tokens),
    extras: Object.fromEntries(
      columns.map((column) => [column, batches.flatMap(({ rewards, extras }) => extras[column] ?? Array.from(rewards, () => undefined))]),
    ),
    metrics: Object.fromEntries(averaged.map((name) => [name, mean(batches.flatMap(({ metrics }) => metrics[name] ?? []))])),
    failures: batches.reduce((sum, { failures }) => sum + failures, 0),
  };
}

/** What is wrong with a reward, in the words of an error; undefined where it is in order. */
function problemOf({ total, steps, tokens }: RewardDetail, length: number): string | undefined {
  if (typeof total !== "number" || !Number.isFinite(total)) {
    return `every reward must be a finite number, a detail with a finite \`total\`, or null, got ${typeof total === "number" ? total : typeof total}`;
  }
  if (
    steps?.some(
      ({ end, value }, i) => !(Number.isInteger(end) && end >= (steps[i - 1]?.end ?? 0) && end < length && Number.isFinite(value)),
    )
  ) {
    return `\`steps\` must have finite values and rising ends within the completion's ${length} tokens, got ${JSON.stringify(steps).slice(0, 80)}`;
  }
  if (tokens && !(tokens.length === length && Array.from(tokens).every(Number.isFinite))) {
    return `\`tokens\` must hold one finite number for each of the completion's ${length} tokens, got ${tokens.length}`;
  }
  return undefined;
}

type Weighted = readonly { readonly detail: RewardDetail; readonly weight: number }[];

function stepsOf(rewards: Weighted): readonly StepReward[] | undefined {
  const steps = rewards.flatMap(({ detail, weight }) => detail.steps?.map(({ end, value }) => ({ end, value: value * weight })) ?? []);
  return steps.length > 0 ? steps.sort((a, b) => a.end - b.end) : undefined;
}

function tokensOf(rewards: Weighted): Float64Array | undefined {
  let sum: Float64Array | undefined;
  for (const { detail, weight } of rewards) {
    if (!detail.tokens) continue;
    sum ??= new Float64Array(detail.tokens.length);
    for (let t = 0; t < sum.length; t++) sum[t] = (sum[t] as number) + weight * (detail.tokens[t] as number);
  }
  return sum;
}

function requireLength(name: string, values: unknown, count: number): readonly unknown[] {
  const length = (values as ArrayLike<unknown> | null | undefined)?.length;
  if (typeof values === "object" && length === count) return values as readonly unknown[];
  const got = length === undefined ? typeof values : `${length} values`;
  throw new RewardError(
    `reward \`${name}\`: it must return one value for each of the ${count} completions, got ${got}. Correct the function.`,
  );
}

function asRewardError(name: string, cause: unknown): RewardError {
  if (cause instanceof RewardError) return cause;
  const got = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return new RewardError(`reward \`${name}\`: it must not throw, got ${got}. Correct it, or set onRewardError to "skip".`, { cause });
}
