/** Datasets from files: JSON Lines in TRL's formats, a JSON array, or plain text. */
import { readFile } from "node:fs/promises";
import { DataError, type DatasetRow, parseJsonl } from "@trimtab/core";

/**
 * Reads .jsonl (one object a line), .json (an array of objects) or .txt (one row `{ text }`). Throws DataError naming the file and,
 * where there is one, the line.
 */
export async function readDataset(path: string): Promise<DatasetRow[]> {
  const text = await readText(path);
  if (path.endsWith(".txt")) {
    if (text.trim() === "") throw new DataError(`${path}: a dataset must have at least one row, got an empty file. Write some text.`);
    return [{ text }];
  }
  return path.endsWith(".json") ? parseArray(text, path) : parseJsonl(text, path);
}

function parseArray(text: string, path: string): DatasetRow[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new DataError(
      `${path}: it must be valid JSON, got ${messageOf(cause)}. For one object a line, name the file .jsonl.`,
      {},
      { cause },
    );
  }
  if (!Array.isArray(json) || json.length === 0) {
    throw new DataError(`${path}: it must be a JSON array of at least one object. For one object a line, name the file .jsonl.`);
  }
  const bad = json.findIndex((row: unknown) => typeof row !== "object" || row === null || Array.isArray(row));
  if (bad >= 0)
    throw new DataError(`${path}: every row must be an object, got ${JSON.stringify(json[bad])} in row ${bad + 1}. Correct the row.`);
  return json as DatasetRow[];
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new DataError(`${path}: a dataset must be a readable file, got ${messageOf(cause)}. Check the path.`, {}, { cause });
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
