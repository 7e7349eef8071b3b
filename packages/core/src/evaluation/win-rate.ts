/** How often a judge prefers one policy's completions to another's, whatever the order in which it reads them. */
import { ArgumentError } from "@trimtab/kernels";
import type { Comparison, PairwiseJudge } from "../judges/judge";
import type { SignalLike } from "../rl/abort";
import type { PolicyEvaluation } from "./evaluate-policy";
import { type Interval, wilsonInterval } from "./intervals";

export interface WinRate {
  /** Of a: (wins + ties / 2) / all, with Wilson's interval. */
  readonly rate: Interval;
  readonly wins: number;
  readonly ties: number;
  readonly losses: number;
  /** Pairs without an answer in one of the orders; they count for nothing. */
  readonly unanswered: number;
  /** Share of pairs whose winner changes with the order. */
  readonly inconsistent: number;
}

/** Every pair is judged in both orders, and the two answers are averaged: a judge that only knows positions finds ties. */
export async function winRate(
  judge: PairwiseJudge,
  pairs: readonly Comparison[],
  options: { readonly signal?: SignalLike | undefined } = {},
): Promise<WinRate> {
  const backward = pairs.map(({ prompt, a, b }) => ({ prompt, a: b, b: a }));
  const { values } = await judge.compare([...pairs, ...backward], options);
  return winRateOf(values.slice(0, pairs.length), values.slice(pairs.length));
}

/** Each prompt's first completions, `own` as a and `other` as b. One a prompt, so that the pairs are independent. */
export function pairedCompletions(own: PolicyEvaluation, other: PolicyEvaluation): Comparison[] {
  return own.prompts.flatMap(({ prompt, completions: [a] }, p) => {
    const b = other.prompts[p]?.completions[0];
    return a === undefined || b === undefined ? [] : [{ prompt, a, b }];
  });
}

/**
 * The same from answers already given: P(a is better) of each pair read as (a, b), and P(b is better) of it read as (b, a). A mean within 1e-9
 * of 1/2 is a tie. Throws ArgumentError where no pair has both.
 */
export function winRateOf(forward: readonly (number | null)[], backward: readonly (number | null)[]): WinRate {
  const both = forward.flatMap((first, i) => {
    const second = backward[i];
    return first === null || second === null || second === undefined ? [] : [[first, 1 - second] as const];
  });
  if (both.length === 0) throw new ArgumentError("winRate: at least one pair must be judged in both orders, got none. Ask another judge.");
  const margins = both.map(([first, second]) => (first + second) / 2 - 0.5);
  const wins = margins.filter((margin) => margin > 1e-9).length;
  const losses = margins.filter((margin) => margin < -1e-9).length;
  const ties = both.length - wins - losses;
  return {
    rate: wilsonInterval((wins + ties / 2) / both.length, both.length),
    wins,
    ties,
    losses,
    unanswered: forward.length - both.length,
    inconsistent: both.filter(([first, second]) => (first - 0.5) * (second - 0.5) < 0).length / both.length,
  };
}
