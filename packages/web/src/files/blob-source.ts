/** Random access to the bytes of a File or Blob. */
import { type ByteSource, CheckpointError } from "@trimtab/core";

/** `where` is for messages, e.g. `dropped files`. */
export function blobSource(name: string, blob: Blob, where: string): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      if (!(offset >= 0 && length >= 0 && offset + length <= blob.size)) {
        throw new CheckpointError(
          `${name}: bytes ${offset} to ${offset + length} must be in the file, got an end at ${blob.size}. The file is truncated: get it again.`,
          { file: name },
        );
      }
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw new CheckpointError(
          `${name}: the file of ${where} must stay as it was opened, got: ${(cause as Error).message} It was changed, moved or removed: open it again.`,
          { file: name },
          { cause },
        );
      }
    },
    close: async () => {},
  };
}
