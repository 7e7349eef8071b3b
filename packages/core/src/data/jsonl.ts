/** Datasets as lines of JSON objects. */
import { DataError } from "../errors";

/** One row of a dataset; which fields it needs is said by its format (data/formats.ts). */
export type DatasetRow = Readonly<Record<string, unknown>>;

/**
 * Parses JSON Lines: one object per line, so that row i is line i + 1. `name` is used in messages. Throws DataError with the
 * line for anything that is not an object, for a blank line before the end, and for a file without rows.
 */
export function parseJsonl(text: string, name = "dataset"): DatasetRow[] {
  const lines = text.replace(/^\ufeff/, "").split("\n");
  while (lines.length > 0 && (lines.at(-1) as string).trim() === "") lines.pop();
  if (lines.length === 0) throw new DataError(`${name}: a dataset must have at least one row, got an empty file. Check the path.`);
  return lines.map((text, i) => {
    const line = i + 1;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      const got = text.trim() === "" ? "a blank line" : (cause as Error).message;
      throw new DataError(`${name}:${line}: every line must be a JSON object, got ${got}. Correct the line.`, { line }, { cause });
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new DataError(`${name}:${line}: every line must be a JSON object, got ${describe(value)}. Correct the line.`, { line });
    }
    return value as DatasetRow;
  });
}

/** A value in a few words, for messages. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
