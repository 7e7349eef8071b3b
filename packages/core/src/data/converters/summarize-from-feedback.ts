/** OpenAI's summarize-from-feedback files: comparisons of two summaries, and ratings of one along several axes. */
import { type Columns, readRow } from "../columns";
import { type Conversion, convertEach } from "../conversion";
import type { DatasetRow } from "../jsonl";

export interface SummarizeOptions {
  /** Keep only the rows of this split ("train", "valid1", "valid2", "test"). Default: all. */
  readonly split?: string | undefined;
}

/**
 * Comparisons as preferences: `choice` (0 or 1) names the better of the two `summaries`. Prompts are those of the published models
 * (`query.format_str` of the repository's tldr and cnndm tasks). The other columns of the result are `id`, `policies` (of the chosen and the rejected
 * one), `worker`, `batch`, `split`, and `confidence` as the labeler gave it, which is no margin: its scale is not documented.
 */
export function summarizeComparisonsToPreferences(rows: readonly DatasetRow[], options: SummarizeOptions = {}): Conversion {
  return convertSplit(rows, options, (columns) => {
    const prompt = readQuery(columns);
    const summaries = columns.list("summaries", 2, (name, value) => readSummary(columns, name, value));
    if (summaries.length > 2) columns.reject("summaries", "must be two", columns.get("summaries"));
    const choice = columns.get("choice");
    if (choice !== 0 && choice !== 1) columns.reject("choice", "must be 0 or 1", choice);
    const [better, worse] = choice === 0 ? summaries : [...summaries].reverse();
    const { confidence } = asObject(columns.get("extra"));
    return {
      ...provenance(columns),
      policies: [better?.policy, worse?.policy],
      ...(confidence === undefined ? {} : { confidence }),
      prompt,
      chosen: better?.text,
      rejected: worse?.text,
    };
  });
}

export interface SummarizeAxesOptions extends SummarizeOptions {
  /** Which mark becomes the rating: "overall", "accuracy", "coverage", "coherence", ... Default "overall". */
  readonly axis?: string | undefined;
}

/** Axis evaluations as ratings (1 to 7) by `worker`; rows without a mark on the axis are dropped. */
export function summarizeAxesToRated(rows: readonly DatasetRow[], options: SummarizeAxesOptions = {}): Conversion {
  const { axis = "overall" } = options;
  return convertSplit(rows, options, (columns) => {
    const prompt = readQuery(columns);
    const given = columns.get("summary");
    const { text, policy } = readSummary(columns, "summary", given);
    const rating = asObject(asObject(given).axes)[axis];
    if (rating === undefined || rating === null) return `no mark on the axis ${axis}`;
    const { worker, ...rest } = provenance(columns);
    return { ...rest, policy, prompt, completion: text, rating: columns.number(`summary.axes.${axis}`, rating), rater: worker };
  });
}

function convertSplit(
  rows: readonly DatasetRow[],
  { split }: SummarizeOptions,
  convert: (columns: Columns) => DatasetRow | string,
): Conversion {
  return convertEach(rows, (row, line) =>
    readRow<readonly DatasetRow[] | string>(row, line, (columns) => {
      if (split !== undefined && row.split !== split) return "of another split";
      const result = convert(columns);
      return typeof result === "string" ? result : [result];
    }),
  );
}

/** What the model was asked, in the format of the published models: of a Reddit post, or of a news article. */
function readQuery(columns: Columns): string {
  const { article, subreddit, title, post } = asObject(columns.get("info"));
  if (typeof article === "string") return `Article:\n${article}\n\nTL;DR:\n`;
  const fields = { subreddit, title, post };
  for (const [field, value] of Object.entries(fields)) {
    if (typeof value !== "string") columns.reject(`info.${field}`, "must be a string (or `info.article` be one)", value);
  }
  return `SUBREDDIT: r/${subreddit}\n\nTITLE: ${title}\n\nPOST: ${post}\n\nTL;DR:`;
}

function readSummary(columns: Columns, name: string, value: unknown): { readonly text: string; readonly policy: unknown } {
  const { text, policy } = asObject(value);
  return { text: columns.text(`${name}.text`, text), policy };
}

function provenance(columns: Columns): DatasetRow {
  const given = {
    id: asObject(columns.get("info")).id,
    worker: columns.get("worker"),
    batch: columns.get("batch"),
    split: columns.get("split"),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

const asObject = (value: unknown): DatasetRow => (typeof value === "object" && value !== null ? (value as DatasetRow) : {});
