/** A file's contents as chunks, and into a stream. */
import type { FileContents } from "@trimtab/core";

export async function* chunksOf(contents: FileContents): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (typeof contents === "string") yield new TextEncoder().encode(contents);
  else if (contents instanceof Uint8Array) yield contents as Uint8Array<ArrayBuffer>;
  else for await (const chunk of contents) yield chunk as Uint8Array<ArrayBuffer>;
}

/** Writes everything and closes; what was there stays where a chunk fails. */
export async function writeStream(stream: FileSystemWritableFileStream, contents: FileContents): Promise<void> {
  try {
    for await (const chunk of chunksOf(contents)) await stream.write(chunk);
  } catch (error) {
    await stream.abort().catch(() => {});
    throw error;
  }
  await stream.close();
}
