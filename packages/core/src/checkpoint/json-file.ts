/** JSON files of a checkpoint: bytes to values and back. */
import { encodeUtf8, utf8Decoder } from "@trimtab/kernels";
import { CheckpointError } from "../errors";
import { type ReadableDirectory, readFile } from "./files";

export type JsonObject = Record<string, unknown>;

/** A text file; undefined when there is none. */
export async function readText(directory: ReadableDirectory, name: string): Promise<string | undefined> {
  const bytes = await readFile(directory, name);
  return bytes && utf8Decoder().decode(bytes);
}

/** A JSON object from a file; undefined when there is no such file. Throws CheckpointError where it holds anything else. */
export async function readJson(directory: ReadableDirectory, name: string): Promise<JsonObject | undefined> {
  const text = await readText(directory, name);
  return text === undefined ? undefined : parseJsonObject(text, name);
}

/** Like {@link readJson}, but the file must exist. */
export async function requireJson(directory: ReadableDirectory, name: string): Promise<JsonObject> {
  const json = await readJson(directory, name);
  if (json === undefined) {
    throw new CheckpointError(`${name}: the file must exist in ${directory.path}, got none. Check the path of the model directory.`, {
      file: name,
    });
  }
  return json;
}

/** The object that `text` holds; throws CheckpointError naming the file otherwise. */
export function parseJsonObject(text: string, file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`${file}: it must be JSON, got ${(cause as Error).message}. Get the file again.`, { file }, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CheckpointError(`${file}: it must hold a JSON object, got ${describe(value)}. Get the file again.`, { file });
  }
  return value as JsonObject;
}

/** UTF-8 bytes of a value as indented JSON. */
export function jsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return textBytes(`${JSON.stringify(value, null, 2)}\n`);
}

/** UTF-8 bytes. */
export function textBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length * 3);
  return bytes.slice(0, encodeUtf8(text, bytes));
}

/** A value as JSON, shortened for a message; values nested too deeply for JSON.stringify have their type's name. */
export function describe(value: unknown): string {
  try {
    const text = JSON.stringify(value) ?? "nothing";
    return text.length > 80 ? `${text.slice(0, 80)}...` : text;
  } catch {
    return Array.isArray(value) ? "a list" : `an ${typeof value}`;
  }
}
