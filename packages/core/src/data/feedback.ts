/** Reads rows of feedback in every format, checked column by column; errors name the line and every bad column. */
import { ConfigError } from "../errors";
import { type Columns, readRow } from "./columns";
import type { CorrectionExample, PreferenceExample, RankedExample, RatedExample, StepwiseExample, Turns, UnpairedExample } from "./formats";
import { extractPrompt } from "./implicit-prompt";
import type { DatasetRow } from "./jsonl";

/**
 * What the words of a `strength` column are worth as margins: Llama 2's four grades with its small margins (Touvron et al. 2023,
 * appendix table 27).
 */
export const LLAMA2_STRENGTHS: Readonly<Record<string, number>> = {
  "significantly better": 1,
  better: 2 / 3,
  "slightly better": 1 / 3,
  "negligibly better": 0,
};

export interface PreferenceOptions {
  /** Margin of each word that a `strength` column may hold. Default {@link LLAMA2_STRENGTHS}. */
  readonly strengths?: Readonly<Record<string, number>> | undefined;
}

/**
 * Reads `chosen`, `rejected` and, optionally, `prompt`, `margin` (or `strength`: a number, or one of the words of `strengths`) and
 * `group`. Without a prompt, or with a text prompt beside conversations (which repeat it, as TRL assumes), the prompt is what the two
 * begin with in common; see `extractPrompt`.
 */
export function readPreference(row: DatasetRow, line: number, options: PreferenceOptions = {}): PreferenceExample {
  return readRow(row, line, (columns) => {
    const [chosen, rejected] = [columns.turns("chosen"), columns.turns("rejected")];
    const rest = { margin: readMargin(columns, options.strengths ?? LLAMA2_STRENGTHS), group: columns.identifier("group") };
    const isRepeated = typeof columns.get("prompt") === "string" && Array.isArray(columns.get("chosen"));
    if (columns.has("prompt") && !isRepeated) {
      const prompt = columns.turns("prompt");
      columns.alike("prompt");
      return { prompt, chosen, rejected, ...rest, columns: columns.rest() };
    }
    columns.alike("chosen");
    if (columns.problems.length > 0) return { prompt: "", chosen, rejected, ...rest, columns: {} };
    return { ...readImplicit(columns, chosen, rejected), ...rest, columns: columns.rest() };
  });
}

function readImplicit(columns: Columns, chosen: Turns, rejected: Turns) {
  const parts = extractPrompt(chosen, rejected);
  const isText = typeof chosen === "string";
  if (parts.chosen.length + parts.rejected.length === 0) columns.reject("rejected", "must differ from `chosen`", rejected);
  else if (parts.prompt.length === 0) {
    columns.reject("rejected", "must begin as `chosen` does, with the prompt (or the row have a `prompt` of the same kind)", rejected);
  } else if (!isText && parts.chosen.length === 0) columns.reject("chosen", "must have a message after those of the prompt", chosen);
  else if (!isText && parts.rejected.length === 0) columns.reject("rejected", "must have a message after those of the prompt", rejected);
  return parts;
}

function readMargin(columns: Columns, strengths: Readonly<Record<string, number>>): number | undefined {
  if (columns.has("margin") && columns.has("strength")) {
    columns.reject("strength", "must not be given beside `margin`", columns.get("strength"));
    return undefined;
  }
  if (columns.has("margin")) return columns.number("margin");
  const strength = columns.get("strength");
  if (strength === undefined || strength === null) return undefined;
  if (typeof strength !== "string") return columns.number("strength");
  if (Object.hasOwn(strengths, strength)) return strengths[strength];
  const words = Object.keys(strengths).map((word) => JSON.stringify(word));
  columns.reject("strength", `must be a number or one of ${words.join(", ")}`, strength);
  return undefined;
}

/** Reads `prompt`, `completion` and `label` (true: liked). */
export function readUnpaired(row: DatasetRow, line: number): UnpairedExample {
  return readCompletion(row, line, (columns) => ({ label: columns.boolean("label") }));
}

export interface RatingOptions {
  /** Lowest and highest mark; ratings outside are refused. Default: any number. */
  readonly scale?: readonly [low: number, high: number] | undefined;
}

/** The scale itself. Throws ConfigError where there is none, or none that rises. */
export function requireScale(scale: RatingOptions["scale"]): readonly [low: number, high: number] {
  if (scale && Number.isFinite(scale[0]) && Number.isFinite(scale[1]) && scale[0] < scale[1]) return scale;
  throw new ConfigError(`ratings: a scale must be two rising numbers, got ${scale ? scale.join(" and ") : "none"}. Give [low, high].`);
}

/** Reads `prompt`, `completion`, `rating` and, optionally, `rater` (a string or a number). */
export function readRated(row: DatasetRow, line: number, { scale }: RatingOptions = {}): RatedExample {
  if (scale) requireScale(scale);
  return readCompletion(row, line, (columns) => {
    const count = columns.problems.length;
    const rating = columns.number("rating");
    if (scale && columns.problems.length === count && !(rating >= scale[0] && rating <= scale[1])) {
      columns.reject("rating", `must be on the scale from ${scale[0]} to ${scale[1]}`, rating);
    }
    return { rating, rater: columns.identifier("rater") };
  });
}

/** Reads `prompt`, `completion` and `edited`, what somebody made of the completion. */
export function readCorrection(row: DatasetRow, line: number): CorrectionExample {
  return readCompletion(row, line, (columns) => ({ edited: columns.turns("edited") }));
}

/** What `prompt`, `completion` and something about it have in common. */
function readCompletion<T>(row: DatasetRow, line: number, read: (columns: Columns) => T) {
  return readRow(row, line, (columns) => {
    const parts = { prompt: columns.turns("prompt"), completion: columns.turns("completion"), ...read(columns) };
    columns.alike("prompt");
    return { ...parts, columns: columns.rest() };
  });
}

/** Reads `prompt`, `completions` (at least two) and `ranks` (1 is the best, equal ranks are ties, gaps are allowed). */
export function readRanked(row: DatasetRow, line: number): RankedExample {
  return readRow(row, line, (columns) => {
    const prompt = columns.turns("prompt");
    const completions = columns.list("completions", 2, (name, value) => columns.turns(name, value));
    const ranks = columns.list("ranks", 2, (name, value) => {
      if (Number.isInteger(value) && (value as number) >= 1) return value as number;
      columns.reject(name, "must be a whole number from 1", value);
      return 1;
    });
    columns.sameLength("completions", "ranks");
    if (ranks.length > 0 && !ranks.includes(1)) columns.reject("ranks", "must have a 1, the best", ranks);
    columns.alike("prompt");
    return { prompt, completions, ranks, columns: columns.rest() };
  });
}

/**
 * Reads a completion in steps: `prompt`, `completions`, and either `labels` (true, false, or the probability that the step is right) or
 * `rewards` (a number each). All text, as in TRL.
 */
export function readStepwise(row: DatasetRow, line: number): StepwiseExample {
  return readRow(row, line, (columns) => {
    const prompt = columns.text("prompt");
    if (prompt === "" && columns.problems.length === 0) columns.reject("prompt", "must not be empty", prompt);
    const completions = columns.list("completions", 1, (name, value) => columns.text(name, value));
    const field = columns.has("rewards") && !columns.has("labels") ? "rewards" : "labels";
    const values = columns.list(field, 1, (name, value) => {
      if (field === "rewards") return columns.number(name, value);
      if (typeof value === "boolean") return Number(value);
      if (typeof value === "number" && value >= 0 && value <= 1) return value;
      columns.reject(name, "must be true, false or a probability", value);
      return 0;
    });
    columns.sameLength("completions", field);
    return { prompt, completions, values, columns: columns.rest() };
  });
}
