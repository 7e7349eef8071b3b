/** Model directories and checkpoints on Node's file system: ranges in, files out by way of temporary names, fsync and rename. */
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type ByteSource, CheckpointError, type Directory, type DirectoryTree, type FileContents, type WriteOptions } from "@trimtab/core";

/** A directory by path, which need not exist to be written. */
export function nodeDirectory(path: string): Directory & DirectoryTree {
  return new NodeDirectory(path);
}

class NodeDirectory implements Directory, DirectoryTree {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async open(name: string): Promise<ByteSource | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(join(this.path, name), "r");
    } catch (error) {
      if (isCode(error, "ENOENT", "ENOTDIR")) return undefined;
      throw unreadable(name, this.path, error);
    }
    const stats = await handle.stat();
    if (!stats.isFile()) {
      await handle.close();
      throw unreadable(name, this.path, new Error("it is not a file"));
    }
    return new NodeFile(name, stats.size, handle);
  }

  async write(files: ReadonlyMap<string, FileContents>, options: WriteOptions = {}): Promise<void> {
    const parent = dirname(this.path);
    await mkdir(parent, { recursive: true });
    if (!options.replace && (await exists(this.path))) await this.#merge(files, options.remove ?? []);
    else await this.#replace(files, parent);
  }

  async list(): Promise<readonly string[]> {
    try {
      return (await readdir(this.path, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);
    } catch (error) {
      if (isCode(error, "ENOENT")) return [];
      throw error;
    }
  }

  child(name: string): Directory {
    return new NodeDirectory(join(this.path, name));
  }

  async remove(name: string): Promise<void> {
    const doomed = join(this.path, name.startsWith("tmp-") ? name : `tmp-removed-${name}`);
    if (doomed !== join(this.path, name)) {
      await rm(doomed, { recursive: true, force: true });
      await rename(join(this.path, name), doomed);
    }
    await rm(doomed, { recursive: true, force: true });
  }

  /** All files beside their final places, then each renamed: no file is ever half written. */
  async #merge(files: ReadonlyMap<string, FileContents>, removed: readonly string[]): Promise<void> {
    const temporary = (name: string) => join(this.path, `.tmp-${name}`);
    try {
      for (const [name, contents] of files) await writeFile(temporary(name), contents);
    } catch (error) {
      for (const name of files.keys()) await rm(temporary(name), { force: true });
      throw error;
    }
    for (const name of files.keys()) await rename(temporary(name), join(this.path, name));
    for (const name of removed) if (!files.has(name)) await rm(join(this.path, name), { force: true });
    await syncDirectory(this.path);
  }

  /** A whole new directory beside this one, renamed into its place. */
  async #replace(files: ReadonlyMap<string, FileContents>, parent: string): Promise<void> {
    const fresh = join(parent, `tmp-${basename(this.path)}`);
    const old = join(parent, `tmp-old-${basename(this.path)}`);
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh);
    try {
      for (const [name, contents] of files) await writeFile(join(fresh, name), contents);
      await syncDirectory(fresh);
      await rm(old, { recursive: true, force: true });
      if (await exists(this.path)) await rename(this.path, old);
      await rename(fresh, this.path);
    } catch (error) {
      await rm(fresh, { recursive: true, force: true });
      throw error;
    }
    await syncDirectory(parent);
    await rm(old, { recursive: true, force: true });
  }
}

class NodeFile implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #handle: FileHandle;

  constructor(name: string, size: number, handle: FileHandle) {
    this.name = name;
    this.size = size;
    this.#handle = handle;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) throw this.#short(offset, length, this.size);
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      // One call reads at most 2 GiB.
      const most = Math.min(length - done, 2 ** 30);
      const { bytesRead } = await this.#handle.read(bytes, done, most, offset + done);
      if (bytesRead === 0) throw this.#short(offset, length, offset + done);
      done += bytesRead;
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #short(offset: number, length: number, end: number): CheckpointError {
    return new CheckpointError(
      `${this.name}: bytes ${offset} to ${offset + length} must be in the file, got an end at ${end}. The file is truncated: get it again.`,
      { file: this.name },
    );
  }
}

async function writeFile(path: string, contents: FileContents): Promise<void> {
  const handle = await open(path, "w");
  try {
    const chunks = typeof contents === "string" ? [Buffer.from(contents, "utf8")] : contents instanceof Uint8Array ? [contents] : contents;
    for await (const chunk of chunks) await writeAll(handle, chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await handle.write(bytes, done, Math.min(bytes.length - done, 2 ** 30))).bytesWritten;
}

/** Makes a file under another name and moves it to its place. */
export async function placeFile(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = join(dirname(path), `.tmp-${randomUUID()}`);
  try {
    await make(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Makes names durable; Windows knows no such call. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await (await open(path, "r")).close();
    return true;
  } catch (error) {
    if (isCode(error, "ENOENT")) return false;
    // Windows cannot open directories; whatever else is wrong, the write itself will say.
    return true;
  }
}

/** True for a system error with one of these codes. */
export function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

function unreadable(name: string, path: string, cause: unknown): CheckpointError {
  return new CheckpointError(`${name}: the file in ${path} must be readable, got: ${(cause as Error).message}.`, { file: name }, { cause });
}
