/** What checkpoints ask of a file system: byte ranges in, whole files out. Node, browsers and tests bring their own. */

/** Random access to one file's bytes. */
export interface ByteSource {
  readonly name: string;
  readonly size: number;
  /** Exactly these bytes; rejects where they are not all inside the file. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** A directory that is read. */
export interface ReadableDirectory {
  /** For messages. */
  readonly path: string;
  /** Undefined when there is no such file. */
  open(name: string): Promise<ByteSource | undefined>;
}

/** A file's contents; a stream is pulled once, when the file's turn comes. */
export type FileContents = AsyncIterable<Uint8Array> | Uint8Array | string;

export interface WriteOptions {
  /** The directory shall hold these files and nothing else. Default false: other files stay, files of the same names are replaced. */
  readonly replace?: boolean;
  /** Files that go away once the new ones are there: what the new ones stand for under other names. */
  readonly remove?: readonly string[];
}

/** A directory that is written. */
export interface WritableDirectory {
  readonly path: string;
  /**
   * Writes the files in the map's order, to temporary names first, so that an interruption leaves every file old or new and whole. A new
   * or replaced directory appears with all of its files or not at all.
   */
  write(files: ReadonlyMap<string, FileContents>, options?: WriteOptions): Promise<void>;
}

export interface Directory extends ReadableDirectory, WritableDirectory {}

/** A directory of directories: where a run keeps its checkpoints. */
export interface DirectoryTree {
  readonly path: string;
  /** Names of the directories inside; none where it does not exist. */
  list(): Promise<readonly string[]>;
  /** A directory inside, which need not exist. */
  child(name: string): Directory;
  /** Removes a directory inside with all it holds; it disappears at once. */
  remove(name: string): Promise<void>;
}

/** All bytes of a small file; undefined when there is no such file. */
export async function readFile(directory: ReadableDirectory, name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const source = await directory.open(name);
  if (!source) return undefined;
  try {
    return await source.read(0, source.size);
  } finally {
    await source.close();
  }
}
