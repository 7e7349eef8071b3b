/** 1 where the answer's number is the expected one within a tolerance. */
import type { RewardFunction } from "../rl/rewards";
import { type AnswerOptions, answerFinder } from "./answer-pattern";
import { columnReward, type NamedRewardOptions } from "./named-reward";
import { isClose, numbersIn, readNumber } from "./number-text";

export interface NumericMatchOptions extends NamedRewardOptions, AnswerOptions {
  /** The column of expected numbers, as numbers or text. A row whose value holds no number has no reward. Default "answer". */
  readonly column?: string | undefined;
  /** Which number of the answer counts. Default "last". */
  readonly which?: "first" | "last" | undefined;
  /** Largest |answer - expected| that matches. Default 1e-6. */
  readonly absoluteTolerance?: number | undefined;
  /** Largest |answer - expected| / |expected| that matches. Default 1e-6. */
  readonly relativeTolerance?: number | undefined;
}

/** Reward `numeric_match_reward`: 1 where |answer - expected| ≤ max(absoluteTolerance, relativeTolerance · |expected|), else 0. */
export function numericMatchReward(options: NumericMatchOptions = {}): RewardFunction {
  const { name = "numeric_match_reward", column = "answer", which = "last" } = options;
  const tolerance = { absolute: options.absoluteTolerance ?? 1e-6, relative: options.relativeTolerance ?? 1e-6 };
  const find = answerFinder(name, options);
  return columnReward(name, column, (text, value) => {
    const expected = readNumber(value);
    if (expected === undefined) return null;
    const answer = numbersIn(find(text) ?? "").at(which === "first" ? 0 : -1);
    return answer !== undefined && isClose(answer, expected, tolerance) ? 1 : 0;
  });
}
