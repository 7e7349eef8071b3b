/** 1 where the answer is the expected text after both were normalised. */
import type { RewardFunction } from "../rl/rewards";
import { type AnswerOptions, answerFinder } from "./answer-pattern";
import { columnReward, type NamedRewardOptions } from "./named-reward";

/** What does not count when two texts are compared; runs of white space always count as one space. */
export interface NormalizeOptions {
  /** Default true. */
  readonly ignoreCase?: boolean | undefined;
  /** Leave punctuation and symbols out. Default false. */
  readonly ignorePunctuation?: boolean | undefined;
  /** Leave out the words a, an and the, as SQuAD's evaluation does. Default false. */
  readonly ignoreArticles?: boolean | undefined;
}

export interface ExactMatchOptions extends NamedRewardOptions, AnswerOptions, NormalizeOptions {
  /** The column of expected answers: a text, a number, or a list of texts of which any will do. Default "answer". */
  readonly column?: string | undefined;
}

/** Reward `exact_match_reward`: 1 where the answer equals an expected text, else 0. */
export function exactMatchReward(options: ExactMatchOptions = {}): RewardFunction {
  const { name = "exact_match_reward", column = "answer" } = options;
  const find = answerFinder(name, options);
  return columnReward(name, column, (text, expected) => {
    const answer = find(text);
    if (answer === undefined) return 0;
    const accepted = Array.isArray(expected) ? expected : [expected];
    return accepted.some((one) => normalizeText(String(one), options) === normalizeText(answer, options)) ? 1 : 0;
  });
}

/** A text as {@link exactMatchReward} compares it: NFKC, trimmed, single spaces, and without what `options` ignore. */
export function normalizeText(text: string, options: NormalizeOptions = {}): string {
  let normal = text.normalize("NFKC");
  if (options.ignoreCase ?? true) normal = normal.toLowerCase();
  if (options.ignorePunctuation) normal = normal.replace(/[\p{P}\p{S}]/gu, "");
  if (options.ignoreArticles) normal = normal.replace(/\b(?:a|an|the)\b/giu, " ");
  return normal.replace(/\s+/gu, " ").trim();
}
