/** What a judge is: something that compares, rates or ranks completions, in batches, and counts what that took. */
import type { Turns } from "../data/formats";
import type { SignalLike } from "../rl/abort";
import type { Metrics } from "../rl/metrics";

/** Two completions of one prompt. */
export interface Comparison {
  readonly prompt: Turns;
  readonly a: Turns;
  readonly b: Turns;
}

/** One completion to be rated. */
export interface RatingItem {
  readonly prompt: Turns;
  readonly completion: Turns;
}

/** Several completions to be ranked. */
export interface RankingItem {
  readonly prompt: Turns;
  readonly completions: readonly Turns[];
}

export interface JudgeCallOptions {
  readonly signal?: SignalLike | undefined;
}

/** What a batch of judgements took. Sums, so that those of several batches add up. */
export interface JudgeStatistics {
  /** Judgements asked of a model, an endpoint or a function; those from a cache are not among them. */
  readonly calls: number;
  readonly cacheHits: number;
  readonly retries: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** In the currency of the prices given. */
  readonly cost: number;
  /** Judgements that could not be read: their values are null. */
  readonly unanswered: number;
  /** Comparisons made in both orders or by several judges, and those of them on whose winner these did not agree. */
  readonly compared: number;
  readonly disagreements: number;
  /** Comparisons made in both orders, and the sum over them of P(first is better) - 1/2. */
  readonly swapped: number;
  readonly positionBias: number;
}

/** Values in the order of the batch, null where the judge gave none. */
export interface Judgements<T> {
  readonly values: readonly (T | null)[];
  readonly statistics: JudgeStatistics;
}

/** Says P(a is better than b), in [0, 1], of each pair. */
export interface PairwiseJudge {
  readonly name: string;
  compare(pairs: readonly Comparison[], options?: JudgeCallOptions): Promise<Judgements<number>>;
}

/** Says how good each completion is, on the judge's own scale; higher is better. */
export interface RatingJudge {
  readonly name: string;
  rate(items: readonly RatingItem[], options?: JudgeCallOptions): Promise<Judgements<number>>;
}

/** Ranks the completions of each item: 1 is the best, equal ranks are ties, as in ranked datasets. */
export interface RankingJudge {
  readonly name: string;
  rank(items: readonly RankingItem[], options?: JudgeCallOptions): Promise<Judgements<readonly number[]>>;
}

const NOTHING: JudgeStatistics = {
  calls: 0,
  cacheHits: 0,
  retries: 0,
  promptTokens: 0,
  completionTokens: 0,
  cost: 0,
  unanswered: 0,
  compared: 0,
  disagreements: 0,
  swapped: 0,
  positionBias: 0,
};

/** The sum of statistics; fields that are left out count nothing. */
export function sumStatistics(...parts: readonly Partial<JudgeStatistics>[]): JudgeStatistics {
  const sum: Record<string, number> = { ...NOTHING };
  for (const part of parts) for (const [name, value] of Object.entries(part)) sum[name] = (sum[name] as number) + value;
  return sum as unknown as JudgeStatistics;
}

/**
 * `judge/*` metrics: calls, cache_hits, retries, prompt_tokens, completion_tokens, cost, unanswered; where there were any,
 * disagreement (share of comparisons) and position_bias (mean of P(first is better) - 1/2, 0 for an impartial judge).
 */
export function judgeMetrics(statistics: JudgeStatistics, prefix = "judge"): Metrics {
  const { compared, disagreements, swapped, positionBias } = statistics;
  return {
    [`${prefix}/calls`]: statistics.calls,
    [`${prefix}/cache_hits`]: statistics.cacheHits,
    [`${prefix}/retries`]: statistics.retries,
    [`${prefix}/prompt_tokens`]: statistics.promptTokens,
    [`${prefix}/completion_tokens`]: statistics.completionTokens,
    [`${prefix}/cost`]: statistics.cost,
    [`${prefix}/unanswered`]: statistics.unanswered,
    ...(compared > 0 ? { [`${prefix}/disagreement`]: disagreements / compared } : {}),
    ...(swapped > 0 ? { [`${prefix}/position_bias`]: positionBias / swapped } : {}),
  };
}

/** A probability's verdict: 1 where a wins, -1 where b does, 0 for a tie. */
export function winnerOf(probability: number): number {
  return Math.sign(probability - 0.5);
}
