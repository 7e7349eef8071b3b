/** From comparisons to strengths and ranks: win counts and the Bradley-Terry model. */
import { hostMath } from "@trimtab/kernels";
import type { Comparison, PairwiseJudge, RankingJudge } from "./judge";

/** The outcome of comparing items i and j, in [0, 1]: 1 where i won, 0 where j did, 1/2 for a tie; probabilities count in part. */
export interface PairOutcome {
  readonly i: number;
  readonly j: number;
  readonly outcome: number;
}

export type StrengthMethod = "wins" | "bradley-terry";

/** The mean outcome of each item over its comparisons, in [0, 1]; 1/2 for one without any. (K) */
export function winRates(items: number, outcomes: readonly PairOutcome[]): Float64Array {
  const [wins, games] = [new Float64Array(items), new Float64Array(items)];
  for (const { i, j, outcome } of outcomes) {
    wins[i] = (wins[i] as number) + outcome;
    wins[j] = (wins[j] as number) + 1 - outcome;
    games[i] = (games[i] as number) + 1;
    games[j] = (games[j] as number) + 1;
  }
  return wins.map((won, k) => (games[k] === 0 ? 0.5 : won / (games[k] as number)));
}

/**
 * Log-strengths θ with P(i beats j) = σ(θ_i - θ_j) of greatest likelihood, their mean 0. (K) Each item has also won and lost
 * `prior` comparisons with one of strength e^0, so that the maximum exists and is unique; default 0.1.
 *
 * Hunter 2004, "MM algorithms for generalized Bradley-Terry models", equation 3, iterated until no strength changes by 1e-10.
 */
export function bradleyTerry(items: number, outcomes: readonly PairOutcome[], prior = 0.1): Float64Array {
  const wins = new Float64Array(items).fill(prior);
  for (const { i, j, outcome } of outcomes) {
    wins[i] = (wins[i] as number) + outcome;
    wins[j] = (wins[j] as number) + 1 - outcome;
  }
  let strengths = new Float64Array(items).fill(1);
  for (let round = 0; round < 10_000; round++) {
    const rates = strengths.map((strength) => (2 * prior) / (strength + 1));
    for (const { i, j } of outcomes) {
      const rate = 1 / ((strengths[i] as number) + (strengths[j] as number));
      rates[i] = (rates[i] as number) + rate;
      rates[j] = (rates[j] as number) + rate;
    }
    const next = wins.map((won, k) => (rates[k] === 0 ? 1 : won / (rates[k] as number)));
    const change = next.reduce((most, strength, k) => Math.max(most, Math.abs(strength / (strengths[k] as number) - 1)), 0);
    strengths = next;
    if (change < 1e-10) break;
  }
  const logs = strengths.map((strength) => hostMath.log(strength));
  const mean = logs.reduce((sum, log) => sum + log, 0) / Math.max(1, items);
  return logs.map((log) => log - mean);
}

/** Ranks by strength: 1 for the strongest, equal ranks within 1e-9, gaps after ties. (K) */
export function ranksOf(strengths: ArrayLike<number>): number[] {
  return Array.from(strengths, (own) => 1 + Array.from(strengths).filter((other) => other > own + 1e-9).length);
}

/**
 * Ranks by comparing all pairs of an item's completions, or each with its next `opponents` round a circle. An item in which a
 * completion was never compared successfully has no ranks.
 */
export function rankByComparisons(judge: PairwiseJudge, options: { method?: StrengthMethod; opponents?: number } = {}): RankingJudge {
  const { method = "bradley-terry", opponents } = options;
  return {
    name: judge.name,
    async rank(items, call) {
      const schedules = items.map(({ completions }) => schedule(completions.length, opponents));
      const pairs = items.flatMap(({ prompt, completions }, n) =>
        (schedules[n] as readonly (readonly [number, number])[]).map(
          ([i, j]): Comparison => ({ prompt, a: completions[i] ?? "", b: completions[j] ?? "" }),
        ),
      );
      const { values, statistics } = await judge.compare(pairs, call);
      let at = 0;
      const ranks = items.map(({ completions }, n) => {
        const outcomes = (schedules[n] as readonly (readonly [number, number])[]).flatMap(([i, j]): PairOutcome[] => {
          const outcome = values[at++] ?? null;
          return outcome === null ? [] : [{ i, j, outcome }];
        });
        const compared = new Set(outcomes.flatMap(({ i, j }) => [i, j]));
        return completions.length > 1 && compared.size < completions.length
          ? null
          : ranksOf(strengthsOf(completions.length, outcomes, method));
      });
      return { values: ranks, statistics };
    },
  };
}

/** Win rates or log-strengths. (K) */
export function strengthsOf(items: number, outcomes: readonly PairOutcome[], method: StrengthMethod): Float64Array {
  return method === "wins" ? winRates(items, outcomes) : bradleyTerry(items, outcomes);
}

/** All pairs i < j, or those at most `opponents` apart round a circle, so that each item has 2 · opponents comparisons. */
export function schedule(items: number, opponents = items): readonly (readonly [number, number])[] {
  const pairs: [number, number][] = [];
  for (let i = 0; i < items; i++) {
    for (let j = i + 1; j < items; j++) {
      if (Math.min(j - i, items - (j - i)) <= opponents) pairs.push([i, j]);
    }
  }
  return pairs;
}
