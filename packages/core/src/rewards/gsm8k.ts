/** Grade-school mathematics (Cobbe et al. 2021): the answer stands after `####`. */
import type { RewardFunction } from "../rl/rewards";
import { columnReward, type NamedRewardOptions } from "./named-reward";
import { firstNumber, isClose, lastNumber } from "./number-text";

/** "strict": only a number after `####`. "flexible": without such, the last number of the text. */
export type Gsm8kMethod = "strict" | "flexible";

export interface Gsm8kRewardOptions extends NamedRewardOptions {
  /** The column of solutions (`... #### 72`) or bare answers. A row without a number in it has no reward. Default "answer". */
  readonly column?: string | undefined;
  /** Default "flexible". */
  readonly method?: Gsm8kMethod | undefined;
  /** Reward of a right answer. Default 1. */
  readonly score?: number | undefined;
  /** Reward of a wrong answer, given for having one. Default 0. */
  readonly formatScore?: number | undefined;
}

/**
 * The answer of a solution: the first number on the line of the last `####`, without currency, thousands separators and units;
 * undefined where there is none. As verl's gsm8k.py (last marker); the released grader takes the first and no fractions.
 */
export function extractGsm8kAnswer(solution: string, method: Gsm8kMethod = "flexible"): number | undefined {
  const marked = firstNumber(afterMarker(solution) ?? "");
  return marked === undefined && method === "flexible" ? lastNumber(solution) : marked;
}

/** What follows the last `####` on its line, trimmed; undefined without one. */
export function afterMarker(text: string): string | undefined {
  const marker = text.lastIndexOf("####");
  return marker < 0 ? undefined : (text.slice(marker + 4).split("\n", 1)[0] as string).trim();
}

/** Reward `gsm8k_reward`: `score` for the expected number, `formatScore` for another one, 0 for none. */
export function gsm8kReward(options: Gsm8kRewardOptions = {}): RewardFunction {
  const { name = "gsm8k_reward", column = "answer", method = "flexible", score = 1, formatScore = 0 } = options;
  return columnReward(name, column, (text, value) => {
    const expected = extractGsm8kAnswer(String(value));
    if (expected === undefined) return null;
    const answer = extractGsm8kAnswer(text, method);
    if (answer === undefined) return 0;
    return isClose(answer, expected, { absolute: 1e-6, relative: 1e-9 }) ? score : formatScore;
  });
}
