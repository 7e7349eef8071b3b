/** A directory in memory: files that are handed over as bytes. */
import type { FileContents, WritableDirectory } from "../checkpoint/files";
import { textBytes } from "../checkpoint/json-file";

export class MemoryFiles implements WritableDirectory {
  readonly path = "memory";
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();

  async write(files: ReadonlyMap<string, FileContents>): Promise<void> {
    for (const [name, contents] of files) this.files.set(name, await bytesOf(contents));
  }
}

async function bytesOf(contents: FileContents): Promise<Uint8Array<ArrayBuffer>> {
  if (typeof contents === "string") return new Uint8Array(textBytes(contents));
  if (contents instanceof Uint8Array) return new Uint8Array(contents);
  const chunks: Uint8Array[] = [];
  for await (const chunk of contents) chunks.push(new Uint8Array(chunk));
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
