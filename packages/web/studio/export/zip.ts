/** Files as one zip archive, stored without compression (weights hardly shrink), a piece at a time so that the page stays alive. */
import { Zip, ZipPassThrough } from "fflate";

const PIECE_BYTES = 4 << 20;

/** Archives `files` by name, all below the directory `root`. */
export async function zipFiles(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>, root: string): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const zip = new Zip((error, data) => {
    if (error) throw error;
    parts.push(data as Uint8Array<ArrayBuffer>);
  });
  for (const [name, bytes] of files) {
    const entry = new ZipPassThrough(`${root}/${name}`);
    zip.add(entry);
    for (let begin = 0; begin < bytes.length || begin === 0; begin += PIECE_BYTES) {
      entry.push(bytes.subarray(begin, begin + PIECE_BYTES), begin + PIECE_BYTES >= bytes.length);
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  zip.end();
  return new Blob(parts, { type: "application/zip" });
}
