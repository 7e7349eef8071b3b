/** Countdown: an expression over given numbers that hits a target. */
import { RewardError } from "../errors";
import type { RewardFunction } from "../rl/rewards";
import { type AnswerOptions, answerFinder } from "./answer-pattern";
import { evaluateArithmetic } from "./arithmetic";
import { completionText } from "./completion-text";
import { type NamedRewardOptions, namedReward, rewardColumn } from "./named-reward";
import { isClose } from "./number-text";

/** Whether every given number must be used, or some may be left over. */
export type NumberUse = "exactly-once" | "at-most-once";

export interface CountdownRewardOptions extends NamedRewardOptions, AnswerOptions {
  /** The column of the numbers, each a list of numbers. Default "numbers". */
  readonly numbersColumn?: string | undefined;
  /** The column of the targets. Default "target". */
  readonly targetColumn?: string | undefined;
  /** Default "exactly-once", as TinyZero. */
  readonly use?: NumberUse | undefined;
  /** Reward of a solution. Default 1. */
  readonly score?: number | undefined;
  /** Reward of an answer that is not a solution. Default 0.1, as TinyZero. */
  readonly formatScore?: number | undefined;
}

/**
 * Reward `countdown_reward`: 0 without an answer, `score` where the answer is an expression over the given numbers that is within
 * 1e-5 of the target, `formatScore` otherwise. The answer is inside the last `<answer>...</answer>` unless `tag` or `pattern`
 * say otherwise (`tag: ""`: the whole completion).
 *
 * Scores are those of TinyZero (verl/utils/reward_score/countdown.py). Departures: the answer may stand on any line; expressions
 * are parsed, so Python's ** and // are no way out; decimals count as written.
 */
export function countdownReward(options: CountdownRewardOptions = {}): RewardFunction {
  const { name = "countdown_reward", numbersColumn = "numbers", targetColumn = "target", use = "exactly-once" } = options;
  const { score = 1, formatScore = 0.1, pattern, tag = pattern === undefined ? "answer" : undefined } = options;
  const find = answerFinder(name, { tag: tag || undefined, pattern });
  return namedReward(name, (args) => {
    const numbers = rewardColumn(args, numbersColumn, name);
    const targets = rewardColumn(args, targetColumn, name);
    return args.completions.map((completion, b) => {
      if (numbers[b] === null || numbers[b] === undefined) return null;
      const puzzle = readPuzzle(name, numbers[b], targets[b], b);
      const answer = find(completionText(completion));
      if (answer === undefined) return 0;
      return isSolution(answer, puzzle, use) ? score : formatScore;
    });
  });
}

/** True where `expression` uses the numbers as `use` says and is within 1e-5 of the target. */
export function isSolution(
  expression: string,
  { numbers, target }: { readonly numbers: readonly number[]; readonly target: number },
  use: NumberUse = "exactly-once",
): boolean {
  const result = evaluateArithmetic(expression);
  if (result === undefined || !isClose(result.value, target, { absolute: 1e-5, relative: 0 })) return false;
  const left = [...numbers];
  for (const number of result.numbers) {
    const found = left.indexOf(number);
    if (found < 0) return false;
    left.splice(found, 1);
  }
  return use === "at-most-once" || left.length === 0;
}

function readPuzzle(where: string, numbers: unknown, target: unknown, row: number): { numbers: readonly number[]; target: number } {
  const value = Number(target);
  const given = Array.isArray(numbers) ? numbers.map(Number) : [];
  if (target !== null && Number.isFinite(value) && given.length > 0 && given.every(Number.isFinite))
    return { numbers: given, target: value };
  throw new RewardError(
    `${where}: a row must have a list of numbers and a target, got ${JSON.stringify(numbers)} and ${JSON.stringify(target)} for completion ${row}. Correct the dataset or the columns' names.`,
  );
}
