/**
 * The scripted judge that stands for people: it knows the true reward of a text, and errs as people are modelled to err, more often the closer two
 * texts are (Bradley and Terry 1952).
 */
import { type DatasetRow, uniform } from "@trimtab/node";
import { sentiment } from "./sentiment";

/** The judge's answer for one pair. */
export interface Comparison {
  /** TRL's preference format: prompt, chosen, rejected. */
  readonly row: { readonly prompt: string; readonly chosen: string; readonly rejected: string };
  /** The prompt it belongs to. */
  readonly group: number;
  /** Chance that the judge prefers what is truly better: the most that any model can agree with it. */
  readonly certainty: number;
}

export interface JudgeOptions {
  /** Reward difference at which the judge picks the better text with a chance of σ(1) = 0.73. Above 0. */
  readonly noise: number;
  readonly seed: number;
}

/** Streams of the judge's coins, apart from those of sampling and training. */
const JUDGE_STREAM = 0x4a0d0000;

/** P(the first is preferred) = σ((first - second) / noise) of two true rewards. */
export function preferenceChance(first: number, second: number, noise: number): number {
  return 1 / (1 + Math.exp((second - first) / noise));
}

/** Judges the pairs of `sampleCompletions` in its "pairs" format: rows with `prompt`, two `completions` and their prompt's `group`. */
export function compare(pairs: readonly DatasetRow[], { noise, seed }: JudgeOptions): Comparison[] {
  if (!(noise > 0)) throw new RangeError(`compare: noise must be above 0, got ${noise}. For a judge that hardly errs, give a small one.`);
  return pairs.map(({ prompt, completions, group }, i) => {
    const [first, second] = completions as [string, string];
    const chance = preferenceChance(sentiment(first), sentiment(second), noise);
    const [chosen, rejected] = uniform(seed, JUDGE_STREAM, i) < chance ? [first, second] : [second, first];
    return { row: { prompt: prompt as string, chosen, rejected }, group: group as number, certainty: Math.max(chance, 1 - chance) };
  });
}
