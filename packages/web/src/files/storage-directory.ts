/**
 * Directories in the browser's storage for this site (the origin-private file system), written all or nothing.
 *
 * Such a file system renames no directories and, in some browsers, no files. So every write makes a generation: its files in `files-<g>/`, then the index
 * `index-<g>.json`, which says for each name of the whole directory in which generation its file is. The highest index that parses is the directory;
 * an interrupted write leaves none, and what it left is removed by the next.
 */
import {
  type ByteSource,
  CheckpointError,
  type Directory,
  type DirectoryTree,
  type FileContents,
  StorageError,
  type WriteOptions,
} from "@trimtab/core";
import { blobSource } from "./blob-source";
import { chunksOf, writeStream } from "./contents";
import { storageFailure } from "./storage-failure";

const INDEX = /^index-(\d+)\.json$/;
const FILES = /^files-(\d+)$/;

/** Generation of each file, by name. */
type Index = Readonly<Record<string, number>>;

interface Generation {
  readonly number: number;
  readonly index: Index;
}

/** A directory by path, e.g. `models/poet`, which need not exist to be written. Throws StorageError where the browser keeps no files. */
export async function storageDirectory(path: string): Promise<Directory & DirectoryTree> {
  return new StorageDirectory(await storageRoot(), segmentsOf(path));
}

/** Removes a directory of the browser's storage with all it holds; nothing happens where there is none. */
export async function removeStored(path: string): Promise<void> {
  const segments = segmentsOf(path);
  const name = segments.pop() as string;
  await new StorageDirectory(await storageRoot(), segments).remove(name);
}

async function storageRoot(): Promise<FileSystemDirectoryHandle> {
  const storage = navigator.storage as StorageManager | undefined;
  try {
    if (storage?.getDirectory) return await storage.getDirectory();
  } catch (cause) {
    throw new StorageError(`storage: the browser must keep files for this site, got: ${(cause as Error).message} ${ADVICE}`, { cause });
  }
  throw new StorageError(`storage: the browser must keep files for this site, got no origin-private file system. ${ADVICE}`);
}

const ADVICE =
  "Serve the page over https or from localhost, leave private browsing, or use URLs and dropped files, and downloads in place of saving.";

function segmentsOf(path: string): string[] {
  const segments = path.split("/").filter((segment) => segment !== "");
  if (segments.length === 0 || segments.some((segment) => segment === "." || segment === "..")) {
    throw new StorageError(`storage: a path must be names joined by slashes, without "." and "..", got ${JSON.stringify(path)}.`);
  }
  return segments;
}

class StorageDirectory implements Directory, DirectoryTree {
  readonly path: string;
  readonly #root: FileSystemDirectoryHandle;
  readonly #segments: readonly string[];

  constructor(root: FileSystemDirectoryHandle, segments: readonly string[]) {
    this.#root = root;
    this.#segments = segments;
    this.path = `the browser's storage at "${segments.join("/")}"`;
  }

  async open(name: string): Promise<ByteSource | undefined> {
    const directory = await this.#find();
    if (!directory) {
      throw new CheckpointError(
        `${name}: the file must be in ${this.path}, got nothing stored there. It was never saved, or the browser removed it: browsers do when space runs out, or when a person clears a site's data, unless persistStorage() was granted. Load it from where it came from.`,
        { file: name },
      );
    }
    const generation = (await currentGeneration(directory))?.index[name];
    if (generation === undefined) return undefined;
    try {
      const file = await (await directory.getDirectoryHandle(`files-${generation}`)).getFileHandle(name);
      return blobSource(name, await file.getFile(), this.path);
    } catch (cause) {
      throw new CheckpointError(
        `${name}: the file in ${this.path} must be readable, got: ${(cause as Error).message} It was removed meanwhile, or the browser lost it: load it from where it came from.`,
        { file: name },
        { cause },
      );
    }
  }

  async write(files: ReadonlyMap<string, FileContents>, options: WriteOptions = {}): Promise<void> {
    await alone(this.#segments, async () => {
      try {
        await this.#write(files, options);
      } catch (error) {
        throw await storageFailure(error, this.path, ADVICE);
      }
    });
  }

  async list(): Promise<readonly string[]> {
    const directory = await this.#find();
    const names: string[] = [];
    if (directory) {
      for await (const [name, entry] of directory.entries()) if (entry.kind === "directory" && !FILES.test(name)) names.push(name);
    }
    return names;
  }

  child(name: string): Directory {
    return new StorageDirectory(this.#root, [...this.#segments, ...segmentsOf(name)]);
  }

  async remove(name: string): Promise<void> {
    const parent = await this.#find();
    await alone([...this.#segments, name], async () => {
      const doomed = parent && (await directoryIn(parent, name));
      if (!doomed) return;
      // From the oldest to the newest: an older index must never come to light.
      for (const number of (await indices(doomed)).sort((a, b) => a - b)) await doomed.removeEntry(`index-${number}.json`);
      await parent.removeEntry(name, { recursive: true });
    });
  }

  async #write(files: ReadonlyMap<string, FileContents>, { replace = false, remove = [] }: WriteOptions): Promise<void> {
    let directory = this.#root;
    for (const segment of this.#segments) directory = await directory.getDirectoryHandle(segment, { create: true });
    const before = await currentGeneration(directory);
    await removeAllBut(directory, before);
    const number = (before?.number ?? 0) + 1;
    const fresh = await directory.getDirectoryHandle(`files-${number}`, { create: true });
    try {
      for (const [name, contents] of files) await writeFile(fresh, name, contents);
      const kept = Object.entries(replace ? {} : (before?.index ?? {})).filter(([name]) => !remove.includes(name));
      const index: Index = Object.fromEntries([...kept, ...[...files.keys()].map((name) => [name, number] as const)]);
      await writeFile(directory, `index-${number}.json`, JSON.stringify(index));
      await removeAllBut(directory, { number, index });
    } catch (error) {
      await removeAllBut(directory, before).catch(() => {});
      throw error;
    }
  }

  async #find(): Promise<FileSystemDirectoryHandle | undefined> {
    let directory: FileSystemDirectoryHandle | undefined = this.#root;
    for (const segment of this.#segments) directory = directory && (await directoryIn(directory, segment));
    return directory;
  }
}

async function directoryIn(parent: FileSystemDirectoryHandle, name: string): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await parent.getDirectoryHandle(name);
  } catch (error) {
    if (error instanceof DOMException && ["NotFoundError", "TypeMismatchError"].includes(error.name)) return undefined;
    throw error;
  }
}

async function indices(directory: FileSystemDirectoryHandle): Promise<number[]> {
  const numbers: number[] = [];
  for await (const name of directory.keys()) {
    const match = INDEX.exec(name);
    if (match) numbers.push(Number(match[1]));
  }
  return numbers;
}

/** The highest generation with a whole index. */
async function currentGeneration(directory: FileSystemDirectoryHandle): Promise<Generation | undefined> {
  for (const number of (await indices(directory)).sort((a, b) => b - a)) {
    const file = await directory.getFileHandle(`index-${number}.json`);
    try {
      return { number, index: JSON.parse(await (await file.getFile()).text()) };
    } catch {
      // Half written: the one before counts.
    }
  }
  return undefined;
}

/** Removes generations that `kept` does not use. */
async function removeAllBut(directory: FileSystemDirectoryHandle, kept: Generation | undefined): Promise<void> {
  const used = new Map<number, Set<string>>();
  for (const [name, number] of Object.entries(kept?.index ?? {})) used.set(number, (used.get(number) ?? new Set()).add(name));
  const doomed: string[] = [];
  for await (const name of directory.keys()) {
    const index = INDEX.exec(name);
    const files = FILES.exec(name);
    if (index && Number(index[1]) !== kept?.number) doomed.push(name);
    if (files && !used.has(Number(files[1]))) doomed.push(name);
  }
  // Indices first: they must not outlive what they name.
  for (const name of doomed.sort().reverse()) await directory.removeEntry(name, { recursive: true });
  for (const [number, names] of used) {
    const files = await directory.getDirectoryHandle(`files-${number}`);
    const replaced: string[] = [];
    for await (const name of files.keys()) if (!names.has(name)) replaced.push(name);
    for (const name of replaced) await files.removeEntry(name);
  }
}

/** The part of a synchronous file that is used; only workers have them, and only they are everywhere. */
interface SyncFile {
  truncate(size: number): void;
  write(bytes: Uint8Array, options: { at: number }): number;
  flush(): void;
  close(): void;
}

async function writeFile(directory: FileSystemDirectoryHandle, name: string, contents: FileContents): Promise<void> {
  const handle = await directory.getFileHandle(name, { create: true });
  const { createSyncAccessHandle } = handle as { createSyncAccessHandle?: () => Promise<SyncFile> };
  if (!createSyncAccessHandle) {
    await writeStream(await handle.createWritable(), contents).catch((error) => Promise.reject(outOfQuota(error)));
    return;
  }
  const file = await createSyncAccessHandle.call(handle);
  try {
    file.truncate(0);
    let at = 0;
    for await (const chunk of chunksOf(contents)) at += writeAll(file, chunk, at);
    file.flush();
  } finally {
    file.close();
  }
}

/** Where the quota ends, Chromium says so or speaks of a broken pipe, as it happens; nobody else aborts a stream of ours. */
function outOfQuota(error: unknown): unknown {
  const isAborted = error instanceof DOMException && error.name === "AbortError";
  return isAborted ? new DOMException("The browser takes no more bytes.", "QuotaExceededError") : error;
}

function writeAll(file: SyncFile, bytes: Uint8Array, at: number): number {
  let done = 0;
  while (done < bytes.length) {
    const written = file.write(bytes.subarray(done), { at: at + done });
    if (written === 0) throw new DOMException("The file takes no more bytes.", "QuotaExceededError");
    done += written;
  }
  return done;
}

/** Runs `work` while no other tab or worker writes to the same directory. */
async function alone(segments: readonly string[], work: () => Promise<void>): Promise<void> {
  const locks = navigator.locks as LockManager | undefined;
  await (locks ? locks.request(`trimtab-storage:${segments.join("/")}`, work) : work());
}
