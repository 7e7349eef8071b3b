/** Judges as reward functions: ratings, comparisons with a baseline, or a tournament among the completions of a prompt. */
import type { Turns } from "../data/formats";
import { RewardError } from "../errors";
import { namedReward, rewardColumn } from "../rewards/named-reward";
import { promptGroups } from "../rewards/prompt-groups";
import type { RewardArguments, RewardFunction } from "../rl/rewards";
import { type JudgeStatistics, judgeMetrics, type PairwiseJudge, type RatingJudge } from "./judge";
import { type PairOutcome, type StrengthMethod, schedule, strengthsOf } from "./ranking";

export interface JudgeRewardOptions {
  /** The name that metrics go by. Default: the judge's, with "_reward". */
  readonly name?: string | undefined;
  /** What the judge's metrics begin with: `<prefix>/calls`, ... Default "judge". */
  readonly metricPrefix?: string | undefined;
}

/** A rating judge's ratings as rewards; null where it has none. */
export function ratingReward(judge: RatingJudge, options: JudgeRewardOptions = {}): RewardFunction {
  return namedReward(options.name ?? `${judge.name}_reward`, async (args) => {
    const items = args.completions.map((completion, b) => ({ prompt: args.prompts[b] as Turns, completion }));
    const { values, statistics } = await judge.rate(items, { signal: args.signal });
    report(args, statistics, options);
    return values;
  });
}

export interface BaselineRewardOptions extends JudgeRewardOptions {
  /** The column of completions to be better than, as text or messages. A row without one has no reward. Default "baseline". */
  readonly baselineColumn?: string | undefined;
}

/** P(completion is better than the row's baseline) as reward, in [0, 1]. */
export function baselineReward(judge: PairwiseJudge, options: BaselineRewardOptions = {}): RewardFunction {
  const { name = `${judge.name}_reward`, baselineColumn = "baseline" } = options;
  return namedReward(name, async (args) => {
    const baselines = rewardColumn(args, baselineColumn, name).map((value, b) => readBaseline(name, value, b));
    const asked = baselines.flatMap((baseline, b) => (baseline === null ? [] : [b]));
    const pairs = asked.map((b) => ({ prompt: args.prompts[b] as Turns, a: args.completions[b] as Turns, b: baselines[b] as Turns }));
    const { values, statistics } = await judge.compare(pairs, { signal: args.signal });
    report(args, statistics, options);
    const rewards: (number | null)[] = baselines.map(() => null);
    asked.forEach((b, i) => {
      rewards[b] = values[i] ?? null;
    });
    return rewards;
  });
}

export interface TournamentRewardOptions extends JudgeRewardOptions {
  /** "wins": the mean probability of being better, in [0, 1]. "bradley-terry": the log-strength. Default "wins". */
  readonly method?: StrengthMethod | undefined;
  /** Compare each completion with the next so many round a circle instead of with all others of its prompt. */
  readonly opponents?: number | undefined;
}

/** How a completion does against the others of its prompt; null for one that no comparison could be made with. */
export function tournamentReward(judge: PairwiseJudge, options: TournamentRewardOptions = {}): RewardFunction {
  const { name = `${judge.name}_reward`, method = "wins", opponents } = options;
  return namedReward(name, async (args) => {
    const games = promptGroups(args.prompts).map((group) => ({ group, pairs: schedule(group.length, opponents) }));
    const completion = (group: readonly number[], i: number) => args.completions[group[i] as number] as Turns;
    const comparisons = games.flatMap(({ group, pairs }) =>
      pairs.map(([i, j]) => ({ prompt: args.prompts[group[0] as number] as Turns, a: completion(group, i), b: completion(group, j) })),
    );
    const { values, statistics } = await judge.compare(comparisons, { signal: args.signal });
    report(args, statistics, options);
    let at = 0;
    const rewards: (number | null)[] = args.completions.map(() => null);
    for (const { group, pairs } of games) {
      const outcomes = pairs.flatMap(([i, j]): PairOutcome[] => {
        const outcome = values[at++] ?? null;
        return outcome === null ? [] : [{ i, j, outcome }];
      });
      const compared = new Set(outcomes.flatMap(({ i, j }) => [i, j]));
      const strengths = strengthsOf(group.length, outcomes, method);
      for (const i of compared) rewards[group[i] as number] = strengths[i] as number;
    }
    return rewards;
  });
}

function report(args: RewardArguments, statistics: JudgeStatistics, { metricPrefix }: JudgeRewardOptions): void {
  for (const [name, value] of Object.entries(judgeMetrics(statistics, metricPrefix))) args.logMetric(name, value);
}

function readBaseline(where: string, value: unknown, row: number): Turns | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || Array.isArray(value)) return value as Turns;
  throw new RewardError(`${where}: a baseline must be text or messages, got ${typeof value} for completion ${row}. Correct the dataset.`);
}
