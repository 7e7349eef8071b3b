/** Judges from functions: a person, a rule, a reward model, or a script that stands for one of these. */
import { JudgeError } from "../errors";
import {
  type Comparison,
  type JudgeCallOptions,
  type Judgements,
  type PairwiseJudge,
  type RatingItem,
  type RatingJudge,
  sumStatistics,
} from "./judge";

type Verdicts = readonly (number | null)[];

/** Compares with a function of the whole batch, which gives P(a is better than b) in [0, 1] or null for each pair. */
export function pairwiseJudge(
  name: string,
  compare: (pairs: readonly Comparison[], options: JudgeCallOptions) => Verdicts | Promise<Verdicts>,
): PairwiseJudge {
  return {
    name,
    async compare(pairs, options = {}) {
      return checked(name, await compare(pairs, options), pairs.length, (value) => value >= 0 && value <= 1, "a probability or null");
    },
  };
}

/** Rates with a function of the whole batch, which gives a finite number or null for each item. */
export function ratingJudge(
  name: string,
  rate: (items: readonly RatingItem[], options: JudgeCallOptions) => Verdicts | Promise<Verdicts>,
): RatingJudge {
  return {
    name,
    async rate(items, options = {}) {
      return checked(name, await rate(items, options), items.length, Number.isFinite, "a finite number or null");
    },
  };
}

function checked(name: string, values: Verdicts, count: number, isGood: (value: number) => boolean, must: string): Judgements<number> {
  const bad = values.findIndex((value) => value !== null && !(typeof value === "number" && isGood(value)));
  if (values.length !== count)
    throw new JudgeError(`judge ${name}: it must give ${count} values, got ${values.length}. Correct the function.`);
  if (bad >= 0)
    throw new JudgeError(`judge ${name}: every value must be ${must}, got ${values[bad]} at index ${bad}. Correct the function.`);
  return { values, statistics: sumStatistics({ calls: count, unanswered: values.filter((value) => value === null).length }) };
}
