/** Which format a row is in, by its columns. */
import { DataError } from "../errors";
import type { DatasetRow } from "./jsonl";

/**
 * TRL's formats (`text` and `messages` are its language modelling), those that it lacks, and the files of summarize-from-feedback and
 * hh-rlhf.
 */
export const DATASET_FORMATS = [
  "text",
  "messages",
  "prompt-only",
  "prompt-completion",
  "preference",
  "implicit-preference",
  "unpaired",
  "stepwise",
  "process-rewards",
  "ranked",
  "rated",
  "thumbs",
  "correction",
  "hh-rlhf",
  "summarize-comparison",
  "summarize-axes",
] as const;

export type DatasetFormat = (typeof DATASET_FORMATS)[number];

interface FormatRule {
  /** Columns that must hold something. */
  readonly needs: readonly string[];
  /** A further condition on a row that has them. */
  readonly holds?: (row: DatasetRow) => boolean;
}

/** In order: the first rule that a row obeys says its format, so that those with more columns come before those with fewer. */
const rules: Readonly<Record<DatasetFormat, FormatRule>> = {
  "summarize-comparison": { needs: ["info", "summaries", "choice"] },
  "summarize-axes": { needs: ["info", "summary", "worker"] },
  "hh-rlhf": { needs: ["chosen", "rejected"], holds: (row) => !has(row, "prompt") && isDialogue(row.chosen) && isDialogue(row.rejected) },
  preference: { needs: ["prompt", "chosen", "rejected"] },
  "implicit-preference": { needs: ["chosen", "rejected"] },
  correction: { needs: ["prompt", "completion", "edited"] },
  unpaired: { needs: ["prompt", "completion", "label"] },
  rated: { needs: ["prompt", "completion", "rating"] },
  thumbs: { needs: ["prompt", "completion", "thumb"] },
  ranked: { needs: ["prompt", "completions", "ranks"] },
  stepwise: { needs: ["prompt", "completions", "labels"] },
  "process-rewards": { needs: ["prompt", "completions", "rewards"] },
  "prompt-completion": { needs: ["prompt", "completion"] },
  messages: { needs: ["messages"] },
  text: { needs: ["text"] },
  "prompt-only": { needs: ["prompt"], holds: (row) => !["chosen", "rejected", "completions"].some((field) => has(row, field)) },
};

/** Null is nothing, except for a thumb: there it is a vote that nobody gave. */
const has = (row: DatasetRow, field: string) => row[field] !== undefined && (row[field] !== null || field === "thumb");

const isDialogue = (text: unknown) => typeof text === "string" && text.startsWith("\n\nHuman:");

/**
 * The format of a row. Other columns do not matter, and neither do values: the format's reader checks those. Throws DataError with what is
 * missing for the formats that the row is nearest to; `line` is 1-based.
 */
export function detectFormat(row: DatasetRow, line = 1): DatasetFormat {
  for (const [format, rule] of Object.entries(rules) as [DatasetFormat, FormatRule][]) {
    if (rule.needs.every((field) => has(row, field)) && (rule.holds?.(row) ?? true)) return format;
  }
  const got = Object.keys(row).filter((field) => has(row, field));
  throw new DataError(
    `dataset line ${line}: the columns must be those of a format, got ${list(got)}. ${advice(row)} (docs/feedback-data.md lists all).`,
    { line },
  );
}

/** Whether `prompt`, `completion`, `chosen`, `rejected`, `messages` or the first of `completions` holds messages rather than text. */
export function isConversational(row: DatasetRow): boolean {
  const [first] = Array.isArray(row.completions) ? row.completions : [];
  return [row.prompt, row.completion, row.chosen, row.rejected, row.messages, first].some(
    (value) => Array.isArray(value) && value.length > 0 && typeof value[0] === "object" && value[0] !== null && "role" in value[0],
  );
}

/** What to add, for the formats of which the row has most. */
function advice(row: DatasetRow): string {
  const near = Object.entries(rules)
    .map(([format, { needs }]) => ({ format, missing: needs.filter((field) => !has(row, field)), share: share(row, needs) }))
    .filter(({ missing, share }) => missing.length > 0 && share > 0);
  const most = Math.max(...near.map(({ share }) => share));
  const options = near.filter(({ share }) => share === most).map(({ format, missing }) => `${list(missing)} (${format})`);
  return options.length > 0 ? `Add ${options.join(" or ")}` : "Name them as the formats do";
}

const share = (row: DatasetRow, needs: readonly string[]) => needs.filter((field) => has(row, field)).length / needs.length;
const list = (fields: readonly string[]) => (fields.length === 0 ? "none" : fields.map((field) => `\`${field}\``).join(" and "));
