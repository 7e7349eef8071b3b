/** Datasets from and to files: JSON Lines in TRL's formats, a JSON array, or plain text; any of them compressed. */
import { access, constants, mkdir, readFile, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { DataError, type DatasetRow, parseJsonl } from "@trimtab/core";
import { nodeDirectory } from "./files";

/**
 * Reads .jsonl (one object a line), .json (an array of objects) or .txt (one row `{ text }`), or one of them with .gz after it. Throws DataError
 * naming the file and, where there is one, the line.
 */
export async function readDataset(path: string): Promise<DatasetRow[]> {
  const text = await readText(path);
  const name = path.replace(/\.gz$/, "");
  if (name.endsWith(".txt")) {
    if (text.trim() === "") throw new DataError(`${path}: a dataset must have at least one row, got an empty file. Write some text.`);
    return [{ text }];
  }
  return name.endsWith(".json") ? parseArray(text, path) : parseJsonl(text, path);
}

/**
 * Writes one object a line, compressed where the name ends with .gz. The file appears whole or not at all, and replaces an older one. Throws
 * DataError where it cannot be written.
 */
export async function writeDataset(path: string, rows: readonly DatasetRow[]): Promise<void> {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  const contents = path.endsWith(".gz") ? await promisify(gzip)(text) : text;
  await writing(path, () => nodeDirectory(dirname(path)).write(new Map([[basename(path), contents]])));
}

/** Makes the directory that a dataset will be written to, before the work whose result it is. Throws DataError where that cannot be. */
export async function prepareDataset(path: string): Promise<void> {
  await writing(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    await access(dirname(path), constants.W_OK);
    if ((await stat(path).catch(() => undefined))?.isDirectory()) throw new Error("a directory of that name");
  });
}

async function writing(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    throw new DataError(`${path}: the dataset must be writable, got ${messageOf(cause)}. Check the path.`, {}, { cause });
  }
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
    const bytes = await readFile(path);
    return (path.endsWith(".gz") ? await promisify(gunzip)(bytes) : bytes).toString("utf8");
  } catch (cause) {
    throw new DataError(`${path}: a dataset must be a readable file, got ${messageOf(cause)}. Check the path.`, {}, { cause });
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
