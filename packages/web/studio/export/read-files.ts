/** Whole files of a directory, by name: what a download packs. */
import type { ReadableDirectory } from "@trimtab/core";

/** Throws Error for a file that is not there. */
export async function readFiles(
  directory: ReadableDirectory,
  names: readonly string[],
): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of names) {
    const source = await directory.open(name);
    if (!source) throw new Error(`${name}: the file must be in ${directory.path}, got none. Train again.`);
    try {
      files.set(name, await source.read(0, source.size));
    } finally {
      await source.close();
    }
  }
  return files;
}
