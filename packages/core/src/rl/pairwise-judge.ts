/** Judges of pairs: what says which of two completions of a prompt is better, where there is no score for each. */
import type { Turns } from "../data/formats";
import { RewardError } from "../errors";

/**
 * The probability that the first completion of each pair is the better one, in [0, 1]; null where the judge cannot tell. `prompts` (P),
 * `pairs` (P), the result (P). A person, a rule, a reward model or another language model.
 */
export type PairwiseJudge = (
  prompts: readonly Turns[],
  pairs: readonly (readonly [first: Turns, second: Turns])[],
) => readonly (number | null)[] | Promise<readonly (number | null)[]>;

/**
 * A judge without a favourite position: asks `judge` about every pair in both orders and averages, 1/2 + (p(a, b) - p(b, a)) / 2. Where one
 * order has no answer, the other's counts.
 */
export function inBothOrders(judge: PairwiseJudge): PairwiseJudge {
  return async (prompts, pairs) => {
    const swapped = pairs.map(([first, second]) => [second, first] as const);
    const answers = await askJudge(judge, [...prompts, ...prompts], [...pairs, ...swapped]);
    return pairs.map((_, i) => {
      const [one, other] = [answers[i] as number | null, answers[i + pairs.length] as number | null];
      if (one === null || other === null) return one ?? (other === null ? null : 1 - other);
      return 0.5 + (one - other) / 2;
    });
  };
}

/** Calls a judge and checks what it says. Throws RewardError unless it is one probability or null for each pair. */
export async function askJudge(
  judge: PairwiseJudge,
  prompts: readonly Turns[],
  pairs: readonly (readonly [first: Turns, second: Turns])[],
): Promise<readonly (number | null)[]> {
  const answers = await judge(prompts, pairs);
  const isAnswer = (answer: number | null) => answer === null || (answer >= 0 && answer <= 1);
  const bad = answers.length === pairs.length ? answers.findIndex((answer) => !isAnswer(answer)) : answers.length;
  if (bad < 0) return answers;
  throw new RewardError(
    `judge: it must give a probability or null for each of ${pairs.length} pairs, got ${answers.length} answers, ${answers[bad]} at ${bad}. Correct the judge.`,
  );
}
