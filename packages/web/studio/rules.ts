/** Rules that give feedback in a person's place, each made of a few plain settings. */
import { type RatingJudge, ratingJudge } from "@trimtab/core";
import { lastText } from "../src/feedback/items";

export interface RuleSettings {
  readonly rule: RuleName;
  /** length: the number of words that is best. */
  readonly words: number;
  /** words: what is welcome, separated by spaces or commas. */
  readonly list: string;
}

export const RULES = {
  length: "Near a length",
  words: "Words from a list",
  repetition: "Little repetition",
} as const;

export type RuleName = keyof typeof RULES;

/** The rule as a judge that rates completions from 0 to 1; with other settings it is another rater. */
export function ruleJudge(settings: RuleSettings): RatingJudge {
  const rate = raters[settings.rule](settings);
  return ratingJudge(`rule: ${RULES[settings.rule].toLowerCase()}${details[settings.rule](settings)}`, (items) =>
    items.map(({ completion }) =>
      rate(
        lastText(completion)
          .toLowerCase()
          .match(/[\p{L}\p{N}'’]+/gu) ?? [],
      ),
    ),
  );
}

/** What of the settings each rule goes by, as part of its name. */
const details: Readonly<Record<RuleName, (settings: RuleSettings) => string>> = {
  words: ({ list }) => ` (${list})`,
  length: ({ words }) => ` (${words} words)`,
  repetition: () => "",
};

/** What each rule says of a completion's words, in [0, 1]. */
const raters: Readonly<Record<RuleName, (settings: RuleSettings) => (words: readonly string[]) => number>> = {
  /** The share of three different welcome words that is there. */
  words({ list }) {
    const welcome = new Set(
      list
        .toLowerCase()
        .split(/[\s,]+/)
        .filter(Boolean),
    );
    return (words) => Math.min(3, new Set(words.filter((word) => welcome.has(word))).size) / 3;
  },
  /** 1 at the length, falling to 0 at none and at twice as many words. */
  length({ words: best }) {
    return (words) => Math.max(0, 1 - Math.abs(words.length - best) / best);
  },
  /** The share of pairs of neighbouring words that occur once. */
  repetition() {
    return (words) => {
      const pairs = words.slice(1).map((word, i) => `${words[i]} ${word}`);
      return pairs.length === 0 ? 0 : new Set(pairs).size / pairs.length;
    };
  },
};
