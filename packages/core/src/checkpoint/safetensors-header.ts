/**
 * The header of a safetensors file, checked: what every tensor is and which bytes hold it.
 *
 * Format: u64 header length, a JSON object {name: {dtype, shape, data_offsets}}, then the tensors' bytes, which cover the rest of the
 * file without holes or overlaps (huggingface/safetensors, README "Format").
 */
import { utf8Decoder } from "@trimtab/kernels";
import { CheckpointError } from "../errors";
import { describe, parseJsonObject } from "./json-file";

/** Bytes per element of the format's whole-byte types. Which of them a reader understands is the reader's matter. */
export const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
  C64: 8,
} as const;

export type SafetensorsDtype = keyof typeof DTYPE_BYTES;

export interface TensorEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** First byte in the file, and how many. */
  readonly offset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Bytes before the JSON. */
export const LENGTH_BYTES = 8;
/** As the format's own implementation has it. */
const LONGEST_HEADER = 100_000_000;

/** Length of the JSON from the file's first eight bytes. */
export function headerLength(first: Uint8Array, file: string, fileSize: number): number {
  let length = 0;
  for (let i = LENGTH_BYTES - 1; i >= 0; i--) length = length * 256 + (first[i] as number);
  const most = Math.min(LONGEST_HEADER, fileSize - LENGTH_BYTES);
  if (length < 2 || length > most) {
    throw new CheckpointError(
      `${file}: the header length must be between 2 and ${most} in a file of ${fileSize} bytes, got ${length}. The file is truncated or not safetensors: get it again.`,
      { file },
    );
  }
  return length;
}

/** Parses and checks the header's JSON. Throws CheckpointError naming the file and the tensor. */
export function parseHeader(json: Uint8Array, file: string, fileSize: number): SafetensorsHeader {
  const text = utf8Decoder().decode(json);
  const fields = parseJsonObject(text, file);
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) {
    throw new CheckpointError(`${file}: every name must occur once in the header, got "${duplicate}" twice. The file is malformed.`, {
      file,
      tensor: duplicate,
    });
  }
  const start = LENGTH_BYTES + json.length;
  const tensors = new Map<string, TensorEntry>();
  let metadata: SafetensorsHeader["metadata"] = {};
  for (const [name, value] of Object.entries(fields)) {
    if (name !== "__metadata__") tensors.set(name, parseEntry(value, name, file, start));
    else if (typeof value === "object" && value !== null && !Array.isArray(value)) metadata = value as Record<string, unknown>;
    else throw new CheckpointError(`${file}: __metadata__ must be an object, got ${describe(value)}. The file is malformed.`, { file });
  }
  checkCoverage(tensors, file, start, fileSize);
  return { tensors, metadata };
}

function parseEntry(value: unknown, tensor: string, file: string, start: number): TensorEntry {
  const fail = (field: string, must: string, got: unknown) =>
    new CheckpointError(`${file}: ${field} of tensor "${tensor}" must be ${must}, got ${describe(got)}. The file is malformed.`, {
      file,
      tensor,
    });
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw fail("the entry", "an object", value);
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw fail("dtype", `one of ${Object.keys(DTYPE_BYTES).join(", ")}`, dtype);
  }
  if (!isSizes(shape)) throw fail("shape", "a list of sizes", shape);
  if (!isSizes(offsets) || offsets.length !== 2) throw fail("data_offsets", "[begin, end]", offsets);
  const [begin, end] = offsets as [number, number];
  const byteLength = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype as SafetensorsDtype]);
  if (end - begin !== byteLength) {
    throw fail("data_offsets", `${byteLength} bytes apart for ${dtype} (${shape.slice(0, 8).join(", ")})`, offsets);
  }
  return { dtype: dtype as SafetensorsDtype, shape, offset: start + begin, byteLength };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** The tensors must follow one another from the header's end to the file's. */
function checkCoverage(tensors: ReadonlyMap<string, TensorEntry>, file: string, start: number, fileSize: number): void {
  const ordered = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = start;
  for (const [tensor, { offset, byteLength }] of ordered) {
    if (offset !== end) {
      const where = offset < end ? "overlaps the tensor before it" : "leaves a hole before it";
      throw new CheckpointError(
        `${file}: tensor "${tensor}" must begin at byte ${end}, got ${offset}: it ${where}. The file is malformed.`,
        { file, tensor },
      );
    }
    end += byteLength;
  }
  if (end !== fileSize) {
    const why = end > fileSize ? "The file is truncated" : "Bytes follow the last tensor";
    const last = ordered.at(-1)?.[0];
    throw new CheckpointError(
      `${file}: the file must have ${end} bytes as its header says, got ${fileSize}. ${why}: get it again.`,
      last === undefined ? { file } : { file, tensor: last },
    );
  }
}

/** The first key that an object of this (valid) JSON text has twice; JSON.parse would keep the last one in silence. */
function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let isKey = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "{") {
      open.push(new Set());
      isKey = true;
    } else if (c === "[") {
      open.push(undefined);
      isKey = false;
    } else if (c === "}" || c === "]") {
      open.pop();
      isKey = false;
    } else if (c === ",") {
      isKey = open.at(-1) !== undefined;
    } else if (c === '"') {
      const begin = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === "\\") i++;
      if (!isKey) continue;
      isKey = false;
      const key = JSON.parse(text.slice(begin, i + 1)) as string;
      const keys = open.at(-1) as Set<string>;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}
