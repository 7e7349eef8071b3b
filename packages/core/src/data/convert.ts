/** Which format becomes which, and how: one table over the converters. */
import { ConfigError } from "../errors";
import { canonicalJson } from "./canonical-json";
import { type Conversion, convertEach, thenConvert } from "./conversion";
import { maybeConvertToChatml } from "./converters/chatml";
import { correctionsToDemonstrations, correctionsToPreferences } from "./converters/corrections";
import { type HhRlhfOptions, hhRlhfToPreferences } from "./converters/hh-rlhf";
import { explicitPreferences, preferencesToDemonstrations, preferencesToRanked, unpairPreferences } from "./converters/preferences";
import { rankedToDemonstrations, rankedToPreferences } from "./converters/ranked";
import {
  normalizeRatings,
  type RatingPairsOptions,
  type RatingThresholdOptions,
  ratingsToPreferences,
  ratingsToRanked,
  ratingsToUnpaired,
} from "./converters/ratings";
import { type ProcessRewardOptions, stepwiseToProcessRewards } from "./converters/stepwise";
import { type SummarizeAxesOptions, summarizeAxesToRated, summarizeComparisonsToPreferences } from "./converters/summarize-from-feedback";
import { thumbsToUnpaired, unpairedToDemonstrations } from "./converters/unpaired";
import { type DatasetFormat, detectFormat } from "./detect-format";
import { type PreferenceOptions, readRanked, readRated, readStepwise, readUnpaired } from "./feedback";
import type { DatasetRow } from "./jsonl";
import { readExample, readPrompt } from "./supervised";

/** What rows can become. "regression": ratings made comparable; "sft": prompts with completions. */
export const CONVERSION_TARGETS = [
  "preference",
  "unpaired",
  "ranked",
  "rated",
  "regression",
  "process-rewards",
  "sft",
  "prompt-only",
  "messages",
] as const;

export type ConversionTarget = (typeof CONVERSION_TARGETS)[number];

export interface ConvertOptions
  extends PreferenceOptions,
    RatingPairsOptions,
    RatingThresholdOptions,
    HhRlhfOptions,
    SummarizeAxesOptions,
    ProcessRewardOptions {
  /** The format of the rows. Default "auto": that of the first one. */
  readonly from?: DatasetFormat | "auto" | undefined;
  readonly to: ConversionTarget;
  /** How "regression" makes ratings comparable. Default: "scale" where one is given, else "rater". */
  readonly normalizeBy?: "scale" | "rater" | undefined;
}

type Converter = (rows: readonly DatasetRow[], options: ConvertOptions) => Conversion;

/** Runs one converter after another. */
const chain =
  (first: Converter, second: Converter): Converter =>
  (rows, options) =>
    thenConvert(first(rows, options), (made) => second(made, options));

const asTheyAre: Converter = (rows) => convertEach(rows, (row) => [row]);

/** Rows as they are, once `read` has checked them. */
const checked =
  (read: (row: DatasetRow, line: number, options: ConvertOptions) => unknown): Converter =>
  (rows, options) =>
    convertEach(rows, (row, line) => {
      read(row, line, options);
      return [row];
    });

const toRegression: Converter = (rows, options) =>
  normalizeRatings(rows, { ...options, by: options.normalizeBy ?? (options.scale ? "scale" : "rater") });

/** Every prompt once, with its tools. */
const toPrompts: Converter = (rows) => {
  const seen = new Set<string>();
  return convertEach(rows, (row, line) => {
    const { prompt } = readPrompt(row, line);
    const made = { prompt, ...(row.tools === undefined ? {} : { tools: row.tools }) };
    const key = canonicalJson(made);
    if (seen.has(key)) return "the same prompt again";
    seen.add(key);
    return [made];
  });
};

/** What can be made of pairs, however they came about. */
const fromPairs = (found: Converter): Partial<Record<ConversionTarget, Converter>> => {
  const pairs = chain(found, explicitPreferences);
  return {
    preference: pairs,
    unpaired: chain(pairs, unpairPreferences),
    ranked: chain(pairs, preferencesToRanked),
    sft: chain(pairs, preferencesToDemonstrations),
    "prompt-only": chain(pairs, toPrompts),
  };
};

/** What can be made of ratings. */
const fromRatings = (ratings: Converter): Partial<Record<ConversionTarget, Converter>> => ({
  rated: ratings,
  regression: chain(ratings, toRegression),
  preference: chain(ratings, ratingsToPreferences),
  ranked: chain(ratings, ratingsToRanked),
  unpaired: chain(ratings, ratingsToUnpaired),
  sft: chain(chain(ratings, ratingsToUnpaired), unpairedToDemonstrations),
  "prompt-only": chain(ratings, toPrompts),
});

const converters: Readonly<Record<DatasetFormat, Partial<Record<ConversionTarget, Converter>>>> = {
  text: {},
  messages: { messages: checked((row, line) => readExample(row, line)) },
  "prompt-only": { "prompt-only": toPrompts },
  "prompt-completion": { sft: checked((row, line) => readExample(row, line)), "prompt-only": toPrompts },
  preference: fromPairs(asTheyAre),
  "implicit-preference": fromPairs(asTheyAre),
  "hh-rlhf": fromPairs(hhRlhfToPreferences),
  "summarize-comparison": fromPairs(summarizeComparisonsToPreferences),
  correction: { ...fromPairs(correctionsToPreferences), sft: correctionsToDemonstrations },
  ranked: {
    ...fromPairs(rankedToPreferences),
    ranked: checked(readRanked),
    sft: rankedToDemonstrations,
    "prompt-only": toPrompts,
  },
  rated: fromRatings(checked(readRated)),
  "summarize-axes": fromRatings(summarizeAxesToRated),
  unpaired: { unpaired: checked(readUnpaired), sft: unpairedToDemonstrations, "prompt-only": toPrompts },
  thumbs: { unpaired: thumbsToUnpaired, sft: chain(thumbsToUnpaired, unpairedToDemonstrations), "prompt-only": toPrompts },
  stepwise: { "process-rewards": stepwiseToProcessRewards, "prompt-only": toPrompts },
  "process-rewards": { "process-rewards": checked(readStepwise), "prompt-only": toPrompts },
};

/**
 * Converts a dataset, after bringing `from` and `value` of messages to `role` and `content`. Throws ConfigError for a format that cannot
 * become the target, and DataError for a malformed row.
 */
export function convertRows(rows: readonly DatasetRow[], options: ConvertOptions): Conversion & { readonly from: DatasetFormat } {
  const { to, from: given = "auto" } = options;
  const chatml = rows.map(maybeConvertToChatml);
  const from = given === "auto" ? detectFormat(chatml[0] ?? {}) : given;
  const convert = converters[from][to];
  if (!convert) {
    const targets = Object.keys(converters[from]).join(", ") || "nothing";
    throw new ConfigError(`convert: rows must be able to become ${to}, got ${from}, which can become: ${targets}. Choose one of these.`);
  }
  return { ...convert(chatml, options), from };
}
