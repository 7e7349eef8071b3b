/** 1 where the final answer of a mathematical solution is the expected one, by value or by form. */
import type { RewardFunction } from "../rl/rewards";
import { lastTagged } from "./answer-pattern";
import { afterMarker } from "./gsm8k";
import { columnReward, type NamedRewardOptions } from "./named-reward";
import { isClose, numbersIn } from "./number-text";

export interface AccuracyRewardOptions extends NamedRewardOptions {
  /** The column of solutions: an answer, or a text with one in `\boxed{}`, `<answer>` tags or after `####`. Default "solution". */
  readonly column?: string | undefined;
  /** Where reasoning ends: only what follows the last of these counts, and a completion without any is wrong. Default none. */
  readonly reasoningDelimiters?: readonly string[] | undefined;
}

/**
 * Reward `accuracy_reward` (`reasoning_accuracy_reward` with delimiters): 1 where the final answers agree, else 0; null where the
 * expected one is empty. TRL's functions of these names. Departure: TRL compares with math-verify, symbolically; here two answers
 * agree when both are one number and within 1e-6 of each other, or when they are the same after spacing, delimiters and units of
 * LaTeX are taken off. `x+1` and `1+x` differ.
 */
export function accuracyReward(options: AccuracyRewardOptions = {}): RewardFunction {
  const { column = "solution", reasoningDelimiters } = options;
  const name = options.name ?? (reasoningDelimiters ? "reasoning_accuracy_reward" : "accuracy_reward");
  return columnReward(name, column, (text, solution) => {
    const gold = String(solution);
    const expected = finalAnswer(gold) ?? gold;
    if (normalizeMath(expected) === "") return null;
    const visible = reasoningDelimiters ? afterReasoning(text, reasoningDelimiters) : text;
    const answer = visible === undefined ? undefined : finalAnswer(visible);
    return answer !== undefined && isSameAnswer(answer, expected) ? 1 : 0;
  });
}

/** The content of the last `\boxed{}`, else of the last `<answer>`, else what follows the last `####` on its line; undefined without any. */
export function finalAnswer(text: string): string | undefined {
  return lastBoxed(text) ?? lastTagged(text, "answer") ?? afterMarker(text);
}

/** True where two answers are the same number (within 1e-6, relative or absolute) or the same expression up to notation. */
export function isSameAnswer(answer: string, expected: string): boolean {
  const [a, b] = [normalizeMath(answer), normalizeMath(expected)];
  const [x, y] = [soleNumber(a), soleNumber(b)];
  if (x !== undefined && y !== undefined) return isClose(x, y, { absolute: 1e-6, relative: 1e-6 });
  return a === b;
}

/** What the last `\boxed{...}` encloses, braces balanced. */
function lastBoxed(text: string): string | undefined {
  const start = text.lastIndexOf("\\boxed{");
  if (start < 0) return undefined;
  let depth = 0;
  for (let i = start + "\\boxed".length; i < text.length; i++) {
    if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return text.slice(start + "\\boxed{".length, i).trim();
  }
  return undefined;
}

function afterReasoning(text: string, delimiters: readonly string[]): string | undefined {
  const ends = delimiters
    .filter((delimiter) => text.includes(delimiter))
    .map((delimiter) => text.lastIndexOf(delimiter) + delimiter.length);
  return ends.length === 0 ? undefined : text.slice(Math.max(...ends));
}

/** LaTeX and plain answers in one notation: `\dfrac{1}{2}` and `1/2`, `\left(` and `(`, without spaces, `$` and `\text{ units}`. */
function normalizeMath(text: string): string {
  return text
    .replace(/\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, (_, a: string, b: string) => `${grouped(a)}/${grouped(b)}`)
    .replace(/\\(?:left|right|displaystyle)(?![a-z])/gi, "")
    .replace(/(?<=\d)\s+\p{L}{2,}[\p{L}\s]*\.?$/u, "")
    .replace(/\\(?:text|mathrm|mbox)\s*\{([^{}]*)\}/g, (_, words: string, at: number) => (at === 0 ? words : ""))
    .replace(/\\[!,;: ]|[\s$]|\^\{?\\circ\}?|\\?%|\.$/g, "")
    .replace(/\\cdot|\\times/g, "*")
    .replace(/\\(?=[{}])/g, "");
}

/** A part of a fraction, in parentheses where it is more than a number or a name. */
function grouped(part: string): string {
  return /^[\p{L}\d.,]*$/u.test(part.trim()) ? part.trim() : `(${part.trim()})`;
}

/** The number that a text consists of; undefined where it is something else. */
function soleNumber(text: string): number | undefined {
  const numbers = numbersIn(text);
  const isNumber = /^[-+\u2212]?[€£¥₹]?[-\u2212]?(?:\d|\.\d)[\d.,]*(?:[eE][-+]?\d+)?(?:\/[\d.,]+)?$/u.test(text);
  return isNumber && numbers.length === 1 ? numbers[0] : undefined;
}
