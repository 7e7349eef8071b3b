/** Judges made of judges: both orders, several together, comparisons from ratings. */
import { hostMath } from "@trimtab/kernels";
import { ConfigError } from "../errors";
import { type PairwiseJudge, type RatingJudge, sumStatistics, winnerOf } from "./judge";

/**
 * Asks for each pair in both orders and gives the mean (p + (1 - p')) / 2, which cancels any preference for a position that does not
 * depend on the completions. A pair of which one order has no answer has none. Counts disagreement of the orders and position bias.
 */
export function swapPositions(judge: PairwiseJudge): PairwiseJudge {
  return {
    name: judge.name,
    async compare(pairs, options) {
      const swapped = pairs.map(({ prompt, a, b }) => ({ prompt, a: b, b: a }));
      const { values: all, statistics } = await judge.compare([...pairs, ...swapped], options);
      let [compared, disagreements, positionBias] = [0, 0, 0];
      const values = pairs.map((_, i) => {
        const [first, second] = [all[i] ?? null, all[i + pairs.length] ?? null];
        if (first === null || second === null) return null;
        compared++;
        if (winnerOf(first) !== winnerOf(1 - second)) disagreements++;
        positionBias += (first + second) / 2 - 0.5;
        return (first + (1 - second)) / 2;
      });
      return { values, statistics: sumStatistics(statistics, { compared, disagreements, swapped: compared, positionBias }) };
    },
  };
}

/**
 * Several judges together: the mean of their probabilities, or the majority's verdict (1, 0, or 1/2 for a tie). Judges without an
 * answer do not count. Counts the pairs on whose winner not all agree.
 */
export function ensemble(judges: readonly PairwiseJudge[], method: "mean" | "majority" = "mean"): PairwiseJudge {
  const name = judges.map((judge) => judge.name).join("+");
  if (judges.length === 0) throw new ConfigError("ensemble: it must have at least one judge, got none. Add judges.");
  return {
    name,
    async compare(pairs, options) {
      const parts = await Promise.all(judges.map((judge) => judge.compare(pairs, options)));
      let [compared, disagreements] = [0, 0];
      const values = pairs.map((_, i) => {
        const votes = parts.map((part) => part.values[i] ?? null).filter((value) => value !== null);
        if (votes.length > 1) {
          compared++;
          if (new Set(votes.map(winnerOf)).size > 1) disagreements++;
        }
        if (votes.length === 0) return null;
        if (method === "mean") return votes.reduce((sum, vote) => sum + vote, 0) / votes.length;
        return (1 + Math.sign(votes.reduce((sum, vote) => sum + winnerOf(vote), 0))) / 2;
      });
      return { values, statistics: sumStatistics(...parts.map((part) => part.statistics), { compared, disagreements }) };
    },
  };
}

/** Compares by ratings: P(a is better than b) = σ((rating of a - rating of b) / temperature), a Bradley-Terry model of the ratings. */
export function compareByRating(judge: RatingJudge, temperature = 1): PairwiseJudge {
  return {
    name: judge.name,
    async compare(pairs, options) {
      const items = pairs.flatMap(({ prompt, a, b }) => [a, b].map((completion) => ({ prompt, completion })));
      const { values: ratings, statistics } = await judge.rate(items, options);
      const values = pairs.map((_, i) => {
        const [a, b] = [ratings[2 * i] ?? null, ratings[2 * i + 1] ?? null];
        return a === null || b === null ? null : 1 / (1 + hostMath.exp((b - a) / temperature));
      });
      return { values, statistics };
    },
  };
}
