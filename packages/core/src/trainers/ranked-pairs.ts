/** Which of two sampled completions of a prompt is the better one, by rewards or by a judge. */
import type { Turns } from "../data/formats";
import { RewardError } from "../errors";
import type { SignalLike } from "../rl/abort";
import { countingTokens } from "../rl/rollout";
import type { ScoredCompletion, ScoredRollout } from "../rl/scored-rollout";

/** Says P(a is better than b), in [0, 1], of each pair of a batch; null where it cannot tell. Every pairwise judge of judges/ is one. */
export interface ComparingJudge {
  compare(
    pairs: readonly { readonly prompt: Turns; readonly a: Turns; readonly b: Turns }[],
    options?: { readonly signal?: SignalLike | undefined },
  ): Promise<{ readonly values: readonly (number | null)[] }>;
}

export interface RankingSettings {
  /** undefined: by rewards. */
  readonly judge: ComparingJudge | undefined;
  /** Taken off the score of a completion that was cut short. */
  readonly missingEosPenalty: number;
  readonly signal: SignalLike | undefined;
}

/** Rows of a rollout whose completions are two of each prompt. */
export interface RankedPair {
  readonly chosen: number;
  readonly rejected: number;
}

type Scored = Pick<ScoredCompletion, "reward" | "finishReason">;

/**
 * 1 for each chosen completion, -1 for each rejected one, 0 for both of a pair that cannot be ranked or of which one has no counting
 * token. Of equal ones the first is chosen. (S) Throws RewardError where the judge's values are not probabilities.
 */
export async function pairSides({ rollout, completions }: ScoredRollout, settings: RankingSettings): Promise<number[]> {
  const firsts = completions.flatMap((_, row) => (row % 2 === 0 ? [row] : []));
  const probabilities = settings.judge ? await judged(settings.judge, completions, firsts, settings.signal) : undefined;
  return firsts.flatMap((row, p) => {
    const gap = probabilities
      ? (probabilities[p] ?? Number.NaN) - 0.5
      : scoreOf(completions[row] as Scored, settings) - scoreOf(completions[row + 1] as Scored, settings);
    const counts = countingTokens(rollout, row) > 0 && countingTokens(rollout, row + 1) > 0;
    if (Number.isNaN(gap) || !counts) return [0, 0];
    return gap >= 0 ? [1, -1] : [-1, 1];
  });
}

async function judged(
  judge: ComparingJudge,
  completions: ScoredRollout["completions"],
  firsts: readonly number[],
  signal: SignalLike | undefined,
): Promise<readonly (number | null)[]> {
  const pairs = firsts.map((row) => {
    const [first, second] = completions.slice(row, row + 2) as [ScoredCompletion, ScoredCompletion];
    return { prompt: first.prompt, a: first.completion, b: second.completion };
  });
  const { values } = await judge.compare(pairs, { signal });
  const isProbability = (value: number | null) => value === null || (value >= 0 && value <= 1);
  if (values.length === pairs.length && values.every(isProbability)) return values;
  throw new RewardError(
    `judge: it must give a probability or null for each of ${pairs.length} pairs, got ${JSON.stringify(values).slice(0, 80)}. Correct the judge.`,
  );
}

/** The reward, less the penalty where the completion was cut short; NaN without a reward. */
export function scoreOf({ reward, finishReason }: Scored, { missingEosPenalty }: Pick<RankingSettings, "missingEosPenalty">): number {
  return (reward ?? Number.NaN) - (finishReason === "length" ? missingEosPenalty : 0);
}

/** The pairs that were ranked, from the sides that {@link pairSides} gave their completions as advantages. */
export function rankedPairs(completions: readonly Pick<ScoredCompletion, "advantage">[]): RankedPair[] {
  return completions.flatMap(({ advantage: side }, row) => {
    if (row % 2 === 1 || side === 0) return [];
    return [side > 0 ? { chosen: row, rejected: row + 1 } : { chosen: row + 1, rejected: row }];
  });
}
