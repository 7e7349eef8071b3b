/** How far the files of a directory have been read, told while they are. */
import type { ByteSource, ReadableDirectory } from "../checkpoint/files";
import type { LoadProgress } from "./engine";

/** The same directory; `tell` is told after every read. */
export function readingProgress(directory: ReadableDirectory, tell: (progress: LoadProgress) => void): ReadableDirectory {
  const read = new Map<string, number>();
  return {
    path: directory.path,
    async open(name) {
      const source = await directory.open(name);
      return source && counted(source);
    },
  };

  function counted(source: ByteSource): ByteSource {
    const { name, size } = source;
    return {
      name,
      size,
      async read(offset, length) {
        const bytes = await source.read(offset, length);
        // A tied head may be read twice.
        const loadedBytes = Math.min(size, (read.get(name) ?? 0) + length);
        read.set(name, loadedBytes);
        tell({ file: name, loadedBytes, totalBytes: size });
        return bytes;
      },
      close: () => source.close(),
    };
  }
}
