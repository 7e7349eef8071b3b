/** A directory of the person's own, picked with the File System Access API: read, and written as plain files. */
import { type ByteSource, CheckpointError, type Directory, type DirectoryTree, StorageError, type WriteOptions } from "@trimtab/core";
import { blobSource } from "./blob-source";
import { writeStream } from "./contents";
import { storageFailure } from "./storage-failure";

/**
 * `handle` is from `showDirectoryPicker({ mode: "readwrite" })`, or dropped. Each file appears whole or not at all, in the order of writing; unlike
 * browser storage, the directory as a whole can be seen half replaced.
 */
export function pickedDirectory(handle: FileSystemDirectoryHandle): Directory & DirectoryTree {
  return new PickedDirectory(async () => handle, `the directory "${handle.name}"`);
}

class PickedDirectory implements Directory, DirectoryTree {
  readonly path: string;
  readonly #find: (create: boolean) => Promise<FileSystemDirectoryHandle | undefined>;

  constructor(find: (create: boolean) => Promise<FileSystemDirectoryHandle | undefined>, path: string) {
    this.path = path;
    this.#find = find;
  }

  async open(name: string): Promise<ByteSource | undefined> {
    try {
      const directory = await this.#find(false);
      const file = directory && (await directory.getFileHandle(name));
      return file && blobSource(name, await file.getFile(), this.path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw new CheckpointError(
        `${name}: the file in ${this.path} must be readable, got: ${said(error)}. ${ADVICE}`,
        { file: name },
        { cause: error },
      );
    }
  }

  async write(
    files: ReadonlyMap<string, Parameters<typeof writeStream>[1]>,
    { replace = false, remove = [] }: WriteOptions = {},
  ): Promise<void> {
    try {
      const directory = (await this.#find(true)) as FileSystemDirectoryHandle;
      for (const [name, contents] of files) {
        const file = await directory.getFileHandle(name, { create: true });
        // Written beside the file, which it replaces when it is closed.
        await writeStream(await file.createWritable(), contents);
      }
      const doomed: string[] = [];
      for await (const [name, entry] of directory.entries()) {
        if (entry.kind === "file" && !files.has(name) && (replace || remove.includes(name))) doomed.push(name);
      }
      for (const name of doomed) await directory.removeEntry(name);
    } catch (error) {
      throw await storageFailure(error, this.path, ADVICE);
    }
  }

  async list(): Promise<readonly string[]> {
    const directory = await this.#find(false);
    const names: string[] = [];
    if (directory) for await (const [name, entry] of directory.entries()) if (entry.kind === "directory") names.push(name);
    return names;
  }

  child(name: string): Directory {
    return new PickedDirectory(async (create) => {
      try {
        return await (await this.#find(create))?.getDirectoryHandle(name, { create });
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    }, `${this.path}/${name}`);
  }

  async remove(name: string): Promise<void> {
    const directory = await this.#find(false);
    if (!directory) throw new StorageError(`remove: ${this.path} must exist, got nothing there.`);
    await directory.removeEntry(name, { recursive: true });
  }
}

const ADVICE = 'Where permission has ended, ask for it again on a click: `handle.requestPermission({ mode: "readwrite" })`.';

function isMissing(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NotFoundError";
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
