/** Which part of a completion is the answer: all of it, what a tag encloses, or what a pattern captures. */
import { ConfigError } from "../errors";

/** Where the answer stands; with neither option it is the whole completion. */
export interface AnswerOptions {
  /** The answer is inside the last `<tag>...</tag>`. */
  readonly tag?: string | undefined;
  /** The answer is group 1 (or all) of the last match of this regular expression; text is compiled with the flags "su". */
  readonly pattern?: string | RegExp | undefined;
}

/** Finds the answer of a completion, trimmed; undefined where there is none. Throws ConfigError for a bad option. */
export function answerFinder(where: string, { tag, pattern }: AnswerOptions): (text: string) => string | undefined {
  if (tag !== undefined && pattern !== undefined) {
    throw new ConfigError(`${where}: \`tag\` and \`pattern\` must not both be given, got "${tag}" and ${String(pattern)}. Choose one.`);
  }
  if (tag !== undefined) return (text) => lastTagged(text, tag);
  if (pattern === undefined) return (text) => text.trim();
  const compiled = compilePattern(where, pattern);
  const everywhere = compiled.global ? compiled : new RegExp(compiled.source, `${compiled.flags}g`);
  return (text) => {
    const match = [...text.matchAll(everywhere)].at(-1);
    return (match?.[1] ?? match?.[0])?.trim();
  };
}

/** What the last `<tag>...</tag>` encloses, trimmed; undefined where no such pair is. Linear in the length of the text. */
export function lastTagged(text: string, tag: string): string | undefined {
  const end = text.lastIndexOf(`</${tag}>`);
  const start = end < 0 ? -1 : text.lastIndexOf(`<${tag}>`, end);
  return start < 0 ? undefined : text.slice(start + tag.length + 2, end).trim();
}

/** A RegExp from an option; text is compiled with `flags`. Throws ConfigError for a malformed one. */
export function compilePattern(where: string, pattern: string | RegExp, flags = "su"): RegExp {
  if (typeof pattern !== "string") return pattern;
  try {
    return new RegExp(pattern, flags);
  } catch (cause) {
    throw new ConfigError(`${where}: \`pattern\` must be a regular expression, got ${(cause as Error).message}. Correct it.`, { cause });
  }
}
