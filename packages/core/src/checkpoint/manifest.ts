/** The list of a checkpoint's files with their sizes and checksums: what tells a whole checkpoint from a damaged one. */
import { CheckpointError } from "../errors";
import { crc32 } from "./crc32";
import type { ByteSource, FileContents, ReadableDirectory } from "./files";
import { jsonBytes, readJson, requireJson, textBytes } from "./json-file";

export const MANIFEST_FILE = "manifest.json";
const CHUNK = 1 << 22;

/** Adds the manifest, written last, to files written in this order. */
export function withManifest(files: ReadonlyMap<string, FileContents>): Map<string, FileContents> {
  const sums: Record<string, { size: number; crc32: number }> = {};
  const counted = new Map<string, FileContents>();
  for (const [name, contents] of files) {
    const sum = { size: 0, crc32: 0 };
    sums[name] = sum;
    counted.set(name, count(contents, sum));
  }
  counted.set(
    MANIFEST_FILE,
    (async function* manifest() {
      yield jsonBytes({ files: sums });
    })(),
  );
  return counted;
}

async function* count(contents: FileContents, sum: { size: number; crc32: number }): AsyncGenerator<Uint8Array> {
  const chunks = typeof contents === "string" ? [textBytes(contents)] : contents instanceof Uint8Array ? [contents] : contents;
  for await (const chunk of chunks) {
    sum.size += chunk.length;
    sum.crc32 = crc32(chunk, sum.crc32);
    yield chunk;
  }
}

/** True when the directory has a manifest and every file it lists has its size. Reads no contents. */
export async function isComplete(directory: ReadableDirectory): Promise<boolean> {
  try {
    const json = await readJson(directory, MANIFEST_FILE);
    if (!json) return false;
    for (const [name, { size }] of entriesOf(json)) {
      const source = await directory.open(name);
      await source?.close();
      if (source?.size !== size) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof CheckpointError) return false;
    throw error;
  }
}

/** Throws CheckpointError naming the first file that is missing, has another size, or another checksum. */
export async function verifyManifest(directory: ReadableDirectory): Promise<void> {
  for (const [name, expected] of entriesOf(await requireJson(directory, MANIFEST_FILE))) {
    const fail = (must: string, got: string) =>
      new CheckpointError(
        `${name}: the file must ${must} as ${MANIFEST_FILE} says, got ${got} in ${directory.path}. Resume from an earlier checkpoint.`,
        { file: name },
      );
    const source = await directory.open(name);
    if (!source) throw fail("exist", "none");
    try {
      if (source.size !== expected.size) throw fail(`have ${expected.size} bytes`, String(source.size));
      const sum = await sumOf(source);
      if (sum !== expected.crc32) throw fail(`have the CRC-32 ${expected.crc32}`, String(sum));
    } finally {
      await source.close();
    }
  }
}

async function sumOf(source: ByteSource): Promise<number> {
  let sum = 0;
  for (let at = 0; at < source.size; at += CHUNK) sum = crc32(await source.read(at, Math.min(CHUNK, source.size - at)), sum);
  return sum;
}

function entriesOf(json: Readonly<Record<string, unknown>>): [string, { size: number; crc32: number }][] {
  const { files } = json;
  if (typeof files !== "object" || files === null) throw malformed("`files` must be an object");
  return Object.entries(files).map(([name, value]) => {
    const { size, crc32: sum } = (value ?? {}) as Record<string, unknown>;
    if (typeof size !== "number" || typeof sum !== "number") throw malformed(`"${name}" must have a size and a crc32`);
    return [name, { size, crc32: sum }];
  });
}

function malformed(must: string): CheckpointError {
  return new CheckpointError(`${MANIFEST_FILE}: ${must}. Resume from an earlier checkpoint.`, { file: MANIFEST_FILE });
}
