/** Feedback on the task's letters, in the formats of the trainers. */
import { type DatasetRow, randomInt } from "@trimtab/node";
import { ARMS, type Context, payOfLetter, ranking } from "./task";

/** Every two letters of every context, the better one chosen. */
export function everyPair(contexts: readonly Context[]): DatasetRow[] {
  return contexts.flatMap(({ prompt, mood }) => {
    const letters = ranking(mood);
    return letters.flatMap((chosen, i) => letters.slice(i + 1).map((rejected) => ({ prompt, chosen, rejected })));
  });
}

/** The pairs of a letter of the better half and one of the worse half. */
export function pairsAcross(contexts: readonly Context[]): DatasetRow[] {
  return contexts.flatMap(({ prompt, mood }) => {
    const letters = ranking(mood);
    return letters.slice(0, 4).flatMap((chosen) => letters.slice(4).map((rejected) => ({ prompt, chosen, rejected })));
  });
}

/** Every letter of every context, good where it is of the better half. */
export function everyVerdict(contexts: readonly Context[]): DatasetRow[] {
  return contexts.flatMap(({ prompt, mood }) => ranking(mood).map((completion, i) => ({ prompt, completion, label: i < 4 })));
}

/** How often a contested pair occurs, which is how finely the frequencies of labels are met. */
const GRAIN = 40;

/**
 * Every two letters of every context, GRAIN times each, labelled the one or the other way round as often as σ(strength (r - r')) asks for, in a
 * seeded order.
 */
export function contested(contexts: readonly Context[], strength: number, seed: number): DatasetRow[] {
  const rows = everyPair(contexts).flatMap(({ prompt, chosen, rejected }) => {
    const { mood } = contexts.find((context) => context.prompt === prompt) as Context;
    const margin = payOfLetter(mood, chosen as string) - payOfLetter(mood, rejected as string);
    const agreeing = Math.round(GRAIN / (1 + Math.exp(-strength * margin)));
    return Array.from({ length: GRAIN }, (_, i) =>
      i < agreeing ? { prompt, chosen, rejected } : { prompt, chosen: rejected, rejected: chosen },
    );
  });
  for (let i = 0; i < rows.length; i++) {
    const j = i + randomInt(rows.length - i, seed, 1, i);
    [rows[i], rows[j]] = [rows[j] as DatasetRow, rows[i] as DatasetRow] as [never, never];
  }
  return rows;
}

/** All letters of every context, ranked. */
export function everyRanking(contexts: readonly Context[]): DatasetRow[] {
  return contexts.map(({ prompt, mood }) => ({ prompt, completions: ranking(mood), ranks: ranking(mood).map((_, i) => i + 1) }));
}

/** What every letter of every context pays, as a rating. */
export function everyRating(contexts: readonly Context[]): DatasetRow[] {
  return contexts.flatMap(({ prompt, mood }) =>
    [...ARMS].map((completion) => ({ prompt, completion, rating: payOfLetter(mood, completion) })),
  );
}

/** Ten thumbs for every letter of every context, as many of them up as it pays tenths. */
export function everyThumb(contexts: readonly Context[]): DatasetRow[] {
  return everyRating(contexts).flatMap(({ prompt, completion, rating }) =>
    Array.from({ length: 10 }, (_, i) => ({ prompt, completion, label: i < Math.round(10 * (rating as number)) })),
  );
}

/** Every pair with the difference of what its letters pay as its margin. */
export function everyMargin(contexts: readonly Context[]): DatasetRow[] {
  return contexts.flatMap((context) =>
    everyPair([context]).map((pair) => ({
      ...pair,
      margin: payOfLetter(context.mood, pair.chosen as string) - payOfLetter(context.mood, pair.rejected as string),
    })),
  );
}

/** Every letter of every context as a completion, none better than another. */
export function choices(contexts: readonly Context[]): DatasetRow[] {
  return contexts.flatMap(({ prompt }) => [...ARMS].map((completion) => ({ prompt, completion })));
}

/** Solutions of three letters; a step is right where its letter pays at least half. */
export function everySolution(contexts: readonly Context[], count: number, seed: number): DatasetRow[] {
  return contexts.flatMap(({ prompt, mood }, c) =>
    Array.from({ length: count }, (_, n) => {
      const completions = [0, 1, 2].map((step) => ARMS[randomInt(ARMS.length, seed, c, 3 * n + step)] as string);
      return { prompt, completions, labels: completions.map((letter) => payOfLetter(mood, letter) >= 0.5) };
    }),
  );
}
