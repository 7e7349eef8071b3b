/** Ratings to pairs, to ranked lists, to unpaired rows, and to targets of a regression. */
import { ConfigError } from "../../errors";
import { canonicalJson } from "../canonical-json";
import { type Conversion, ConversionBuilder, convertEach } from "../conversion";
import { type RatingOptions, readRated, requireScale } from "../feedback";
import type { RatedExample, Turns } from "../formats";
import type { DatasetRow } from "../jsonl";

export interface CompareRatingsOptions extends RatingOptions {
  /**
   * Which ratings of a prompt are compared: those of one rater with each other, so that a strict rater is never set against a mild one
   * (rows without a rater count as one), or the means over all raters. Default "rater".
   */
  readonly pooling?: "rater" | "pooled" | undefined;
}

export interface RatingPairsOptions extends CompareRatingsOptions {
  /** Pairs whose ratings differ by less are dropped. Default 0: only ties are. */
  readonly minMargin?: number | undefined;
}

/**
 * Every two completions of a prompt as a preference, with the difference of their ratings as `margin`. Ties are dropped. A completion
 * that was rated several times has its mean rating. Pairs of one prompt (and rater) share `group`.
 */
export function ratingsToPreferences(rows: readonly DatasetRow[], options: RatingPairsOptions = {}): Conversion {
  const { minMargin = 0 } = options;
  if (!(minMargin >= 0)) throw new ConfigError(`ratingsToPreferences: minMargin must be at least 0, got ${minMargin}. Correct it.`);
  return compareRatings(rows, options, ({ prompt, group, completions }, builder) => {
    completions.forEach((better, place) => {
      for (const worse of completions.slice(place + 1)) {
        const margin = better.rating - worse.rating;
        const line = Math.min(better.line, worse.line);
        if (margin === 0) builder.drop(line, "pair of equal rating");
        else if (margin < minMargin) builder.drop(line, "pair that differs by less than minMargin");
        else {
          const columns = sharedColumns([better.columns, worse.columns]);
          builder.add(line, { ...columns, group, prompt, chosen: better.completion, rejected: worse.completion, margin });
        }
      }
    });
  });
}

/** The completions of a prompt in the order of their ratings; equal ratings are ties. */
export function ratingsToRanked(rows: readonly DatasetRow[], options: CompareRatingsOptions = {}): Conversion {
  return compareRatings(rows, options, ({ prompt, group, completions }, builder) => {
    const ranks = completions.map(({ rating }) => 1 + completions.filter((other) => other.rating > rating).length);
    const columns = sharedColumns(completions.map((c) => c.columns));
    builder.add(group, { ...columns, prompt, completions: completions.map(({ completion }) => completion), ranks });
  });
}

export interface RatingThresholdOptions extends RatingOptions {
  /** Ratings above are liked, ratings below are not, and equal ones are dropped. Default: the middle of the scale. */
  readonly threshold?: number | undefined;
}

/** Ratings as unpaired rows. Throws ConfigError without a threshold and a scale. */
export function ratingsToUnpaired(rows: readonly DatasetRow[], options: RatingThresholdOptions = {}): Conversion {
  const { threshold = options.scale && (requireScale(options.scale)[0] + options.scale[1]) / 2 } = options;
  if (threshold === undefined || !Number.isFinite(threshold)) {
    throw new ConfigError("ratingsToUnpaired: a threshold or a scale must be given, got neither. Give one.");
  }
  return convertEach(rows, (row, line) => {
    const { prompt, completion, rating, rater, columns } = readRated(row, line, options);
    if (rating === threshold) return "rating at the threshold";
    return [{ ...columns, ...(rater === undefined ? {} : { rater }), prompt, completion, label: rating > threshold }];
  });
}

export interface NormalizeRatingsOptions extends RatingOptions {
  /** "scale": from 0 (lowest) to 1 (highest). "rater": less the rater's mean, over the rater's population deviation. */
  readonly by: "scale" | "rater";
}

/**
 * Ratings on a common scale, as targets of a regression; the rows keep their format. A rater who gave one value only says nothing about
 * differences: all the ratings become 0, the mean. Rows without a rater count as one. Throws ConfigError for "scale" without a scale.
 */
export function normalizeRatings(rows: readonly DatasetRow[], options: NormalizeRatingsOptions): Conversion {
  const examples = rows.map((row, i) => readRated(row, i + 1, options));
  const normalize = options.by === "scale" ? toScale(options.scale) : toRaters(examples);
  const builder = new ConversionBuilder();
  examples.forEach((example, i) => {
    const { prompt, completion, rater, columns } = example;
    builder.add(i + 1, { ...columns, prompt, completion, rating: normalize(example), ...(rater === undefined ? {} : { rater }) });
  });
  return builder.conversion;
}

function toScale(scale: RatingOptions["scale"]): (example: RatedExample) => number {
  const [low, high] = requireScale(scale);
  return ({ rating }) => (rating - low) / (high - low);
}

function toRaters(examples: readonly RatedExample[]): (example: RatedExample) => number {
  const normalizers = new Map(
    group(examples, ({ rater }) => rater).map((theirs) => {
      const ratings = theirs.map(({ rating }) => rating);
      const mean = average(ratings);
      const deviation = Math.sqrt(average(ratings.map((rating) => (rating - mean) * (rating - mean))));
      const isConstant = ratings.every((rating) => rating === ratings[0]);
      return [theirs[0].rater, (rating: number) => (isConstant ? 0 : (rating - mean) / deviation)];
    }),
  );
  return ({ rating, rater }) => (normalizers.get(rater) as (rating: number) => number)(rating);
}

interface RatedCompletion {
  readonly completion: Turns;
  readonly rating: number;
  readonly line: number;
  readonly columns: DatasetRow;
}

interface RatedPrompt {
  readonly prompt: Turns;
  /** The first of its lines. */
  readonly group: number;
  /** From the highest rating to the lowest; at least two. */
  readonly completions: readonly RatedCompletion[];
}

/** Gathers what may be compared and hands it to `compare`, prompt by prompt. */
function compareRatings(
  rows: readonly DatasetRow[],
  options: CompareRatingsOptions,
  compare: (rated: RatedPrompt, builder: ConversionBuilder) => void,
): Conversion {
  const { pooling = "rater" } = options;
  const examples = rows.map((row, i) => ({ ...readRated(row, i + 1, options), line: i + 1 }));
  const byPrompt = group(examples, ({ prompt, rater, columns }) => [prompt, columns.tools, pooling === "rater" ? rater : "all"]);
  const builder = new ConversionBuilder();
  for (const theirs of byPrompt) {
    const [{ prompt, line }] = theirs;
    const completions = group(theirs, ({ completion }) => completion)
      .map((same) => {
        const rater = pooling === "rater" && same[0].rater !== undefined ? { rater: same[0].rater } : {};
        const columns = { ...sharedColumns(same.map((c) => c.columns)), ...rater };
        return { completion: same[0].completion, rating: average(same.map(({ rating }) => rating)), line: same[0].line, columns };
      })
      .sort((a, b) => b.rating - a.rating);
    if (completions.length < 2) builder.drop(line, "no other completion to compare with");
    else compare({ prompt, group: line, completions }, builder);
  }
  return builder.conversion;
}

/** Items with equal keys, in the order of first occurrence. */
function group<T>(items: readonly T[], key: (item: T) => unknown): [T, ...T[]][] {
  const groups = new Map<string, [T, ...T[]]>();
  for (const item of items) {
    const name = canonicalJson([key(item)]);
    const there = groups.get(name);
    if (there) there.push(item);
    else groups.set(name, [item]);
  }
  return [...groups.values()];
}

/** The columns that all rows have with the same value. */
function sharedColumns(rows: readonly DatasetRow[]): DatasetRow {
  const [first = {}, ...others] = rows;
  return Object.fromEntries(
    Object.entries(first).filter(([field, value]) => others.every((row) => canonicalJson(row[field]) === canonicalJson(value))),
  );
}

const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
