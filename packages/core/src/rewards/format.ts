/** 1 where a completion has the wanted form: a pattern, or sections in tags. */
import { ConfigError } from "../errors";
import type { RewardFunction } from "../rl/rewards";
import { compilePattern } from "./answer-pattern";
import { type NamedRewardOptions, textReward } from "./named-reward";

export interface FormatRewardOptions extends NamedRewardOptions {
  /** A regular expression that must match; text is compiled with the flags "su" (a dot matches line ends). */
  readonly pattern?: string | RegExp | undefined;
  /** Tags that must enclose the whole completion, in this order, each exactly once, with white space between sections. */
  readonly tags?: readonly string[] | undefined;
}

/** Reward `format_reward`: 1 where the completion has the form, else 0. Default: the tags think and answer, as DeepSeek-R1-Zero's template. */
export function formatReward(options: FormatRewardOptions = {}): RewardFunction {
  const { name = "format_reward", pattern, tags = ["think", "answer"] } = options;
  if (pattern !== undefined && options.tags !== undefined) {
    throw new ConfigError(
      `${name}: \`pattern\` and \`tags\` must not both be given, got ${String(pattern)} and ${tags.join()}. Choose one.`,
    );
  }
  if (pattern === undefined) return textReward(name, (text) => (hasSections(text, tags) ? 1 : 0));
  const compiled = compilePattern(name, pattern);
  return textReward(name, (text) => (text.search(compiled) >= 0 ? 1 : 0));
}

/**
 * Reward `think_format_reward`: 1 where the completion begins with `<think>`, closes it, and never opens another, else 0. The
 * pattern of TRL's think_format_reward: `^<think>(?!.*<think>)(.*?)</think>.*$`.
 */
export function thinkFormatReward({ name = "think_format_reward" }: NamedRewardOptions = {}): RewardFunction {
  return textReward(name, (text) => {
    const isOpened = text.startsWith("<think>") && text.lastIndexOf("<think>") === 0;
    return isOpened && text.includes("</think>", "<think>".length) ? 1 : 0;
  });
}

/** True where the text is `<a>...</a> <b>...</b>` for the tags a, b, ..., and none of them occurs another time. */
function hasSections(text: string, tags: readonly string[]): boolean {
  let rest = text.trim();
  for (const tag of tags) {
    const [open, close] = [`<${tag}>`, `</${tag}>`];
    if (text.split(open).length !== 2 || text.split(close).length !== 2 || !rest.startsWith(open)) return false;
    const end = rest.indexOf(close);
    if (end < 0) return false;
    rest = rest.slice(end + close.length).trimStart();
  }
  return rest === "";
}
