/** Answers as rows of TRL's dataset formats, through core's converters. */
import { ConfigError, type ConversionTarget, convertRows, type DatasetFormat, type DatasetRow, type Turns } from "@trimtab/core";
import type { Feedback } from "./answers";
import { type FeedbackCompletion, type FeedbackKind, withLastText, writtenTurns } from "./items";

/** preference: `chosen`, `rejected`. unpaired: `label`. ranked: `ranks`. rated: `rating`. correction: `edited`. sft: `prompt`, `completion`. */
export const FEEDBACK_FORMATS = ["preference", "unpaired", "ranked", "rated", "correction", "sft"] as const;

export type FeedbackFormat = (typeof FEEDBACK_FORMATS)[number];

/** The kinds whose answers say what a format says. */
const direct: Readonly<Record<FeedbackFormat, readonly FeedbackKind[]>> = {
  preference: ["pair", "ranking", "correction"],
  unpaired: ["thumbs"],
  ranked: ["ranking", "pair"],
  rated: ["stars"],
  correction: ["correction"],
  sft: ["demonstration", "correction"],
};

/** The kinds from which it can be inferred. */
const inferred: Readonly<Record<FeedbackFormat, readonly FeedbackKind[]>> = {
  preference: ["stars"],
  unpaired: ["stars", "pair", "ranking", "correction"],
  ranked: ["stars", "correction"],
  rated: [],
  correction: [],
  sft: ["pair", "ranking", "thumbs", "stars"],
};

export interface FeedbackRowsOptions {
  /**
   * Whose answers become rows. Default: the kinds that say what the format says. "all": those as well from which it can be inferred by core's
   * converters, e.g. pairs from the stars of one prompt, or a demonstration from the better of two.
   */
  readonly kinds?: readonly FeedbackKind[] | "all" | undefined;
}

/** The format in which each kind's answers are written down. */
const formats: Readonly<Record<FeedbackKind, DatasetFormat>> = {
  pair: "preference",
  ranking: "ranked",
  thumbs: "unpaired",
  stars: "rated",
  correction: "correction",
  demonstration: "prompt-completion",
};

/**
 * Answers as rows, kind by kind. Besides the format's own columns and the item's, a row has `rater`, and where they are known `positions` (the
 * place from 1 at which each completion was shown), `temperatures` and `sources` in the order of its completions (chosen before rejected); a row with
 * one completion has `temperature` and `source`. Ties of pairs are in ranked rows only. Throws ConfigError for a kind that cannot become the format.
 */
export function feedbackRows(feedback: readonly Feedback[], format: FeedbackFormat, { kinds }: FeedbackRowsOptions = {}): DatasetRow[] {
  const possible = [...direct[format], ...inferred[format]];
  const wanted = kinds === "all" ? possible : (kinds ?? direct[format]);
  const bad = wanted.find((kind) => !possible.includes(kind));
  if (bad) throw new ConfigError(`feedback rows: ${format} must be made of ${possible.join(", ")}, got ${bad}. Choose among these.`);
  return wanted.flatMap((kind) => {
    const ofKind = feedback.filter(({ answer }) => answer.kind === kind);
    const ties = ofKind.filter(({ answer }) => answer.kind === "pair" && answer.choice === "tie");
    const rows = ofKind.filter((given) => !ties.includes(given)).map(feedbackRow);
    return [...convert(rows, kind, format), ...(format === "ranked" ? ties.map(feedbackRow) : [])];
  });
}

function convert(rows: readonly DatasetRow[], kind: FeedbackKind, format: FeedbackFormat): readonly DatasetRow[] {
  if (rows.length === 0 || format === "correction") return rows;
  const converted = convertRows(rows, { from: formats[kind], to: format satisfies ConversionTarget, scale: [1, 5] }).rows;
  if (kind !== "ranking" && kind !== "stars") return converted;
  // Groups are numbered within a conversion; those of different kinds must not meet in one batch element.
  return converted.map((row) => (typeof row.group === "number" ? { ...row, group: `${kind} ${row.group}` } : row));
}

/** The row that says what one answer says, in the format of its kind; a tie as a ranking. */
export function feedbackRow({ item, answer, rater, order }: Feedback): DatasetRow {
  const { prompt, completions } = item;
  const base = { ...item.columns, rater, prompt };
  const contents = completions.map(({ content }) => content);
  const several = (indices: readonly number[]) => ({
    ...(order ? { positions: indices.map((i) => order.indexOf(i) + 1) } : {}),
    ...origins(indices.map((i) => completions[i] as FeedbackCompletion)),
  });
  const all = contents.map((_, i) => i);
  const [only] = completions;
  const single = { ...origin(only), completion: only?.content };
  switch (answer.kind) {
    case "pair": {
      const { choice, margin } = answer;
      if (choice === "tie") return { ...base, completions: contents, ranks: [1, 1], ...several(all) };
      const sides = { chosen: contents[choice], rejected: contents[1 - choice] };
      return { ...base, ...sides, ...(margin === undefined ? {} : { margin }), ...several([choice, 1 - choice]) };
    }
    case "ranking":
      return { ...base, completions: contents, ranks: answer.ranks, ...several(all) };
    case "thumbs":
      return { ...base, ...single, label: answer.liked };
    case "stars":
      return { ...base, ...single, rating: answer.rating };
    case "correction":
      return { ...base, ...single, edited: withLastText(only?.content as Turns, answer.edited) };
    case "demonstration":
      return { ...base, completion: writtenTurns(prompt, answer.text) };
  }
}

/** Where completions come from: null where one of them does not say, nothing where none does. */
function origins(completions: readonly FeedbackCompletion[]): DatasetRow {
  const [temperatures, sources] = [completions.map((c) => c.temperature ?? null), completions.map((c) => c.source ?? null)];
  return {
    ...(temperatures.some((value) => value !== null) ? { temperatures } : {}),
    ...(sources.some((value) => value !== null) ? { sources } : {}),
  };
}

function origin(completion: FeedbackCompletion | undefined): DatasetRow {
  return {
    ...(completion?.temperature === undefined ? {} : { temperature: completion.temperature }),
    ...(completion?.source === undefined ? {} : { source: completion.source }),
  };
}
