/// <reference types="node" />
/** Test files: directories on disk for the loaders, and directories in memory that remember what was written. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ByteSource, Directory, DirectoryTree, FileContents, ReadableDirectory, WriteOptions } from "../src/checkpoint/files";

/** A path from the repository's root. */
export const at = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** A file's bytes as a source that keeps count of what is open and what is read. */
export function memorySource(name: string, bytes: Uint8Array, log?: { open: number; largest: number }): ByteSource {
  if (log) log.open++;
  return {
    name,
    size: bytes.length,
    async read(offset, length) {
      if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length)) throw new RangeError(`read outside ${name}`);
      if (log) log.largest = Math.max(log.largest, length);
      return new Uint8Array(bytes.subarray(offset, offset + length));
    },
    async close() {
      if (log) log.open--;
    },
  };
}

/** A directory of the repository, read-only. */
export function diskDirectory(path: string): ReadableDirectory {
  return {
    path,
    async open(name) {
      const file = `${path}/${name}`;
      return existsSync(file) ? memorySource(name, readFileSync(file)) : undefined;
    },
  };
}

/** Files in memory, with the open-file count of what was handed out. */
export class MemoryDirectory implements Directory {
  readonly path: string;
  readonly files: Map<string, Uint8Array>;
  readonly log = { open: 0, largest: 0 };

  constructor(files: Iterable<readonly [string, Uint8Array | string]> = [], path = "memory") {
    this.path = path;
    this.files = new Map([...files].map(([name, contents]) => [name, typeof contents === "string" ? Buffer.from(contents) : contents]));
  }

  async open(name: string): Promise<ByteSource | undefined> {
    const bytes = this.files.get(name);
    return bytes && memorySource(name, bytes, this.log);
  }

  async write(files: ReadonlyMap<string, FileContents>, options: WriteOptions = {}): Promise<void> {
    if (options.replace) this.files.clear();
    for (const [name, contents] of files) this.files.set(name, await bytesOf(contents));
    for (const name of options.remove ?? []) if (!files.has(name)) this.files.delete(name);
  }
}

/** Directories in memory. */
export class MemoryTree implements DirectoryTree {
  readonly path = "memory";
  readonly children = new Map<string, MemoryDirectory>();

  async list(): Promise<readonly string[]> {
    return [...this.children].filter(([, { files }]) => files.size > 0).map(([name]) => name);
  }

  child(name: string): MemoryDirectory {
    const child = this.children.get(name) ?? new MemoryDirectory([], `memory/${name}`);
    this.children.set(name, child);
    return child;
  }

  async remove(name: string): Promise<void> {
    this.children.delete(name);
  }
}

/** All bytes of a file's contents. */
export async function bytesOf(contents: FileContents): Promise<Uint8Array> {
  if (typeof contents === "string") return Buffer.from(contents);
  if (contents instanceof Uint8Array) return contents;
  const chunks: Uint8Array[] = [];
  for await (const chunk of contents) chunks.push(new Uint8Array(chunk));
  return Buffer.concat(chunks);
}

/** A safetensors file from its header's text and its data. */
export function safetensorsBytes(header: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = Buffer.from(header);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  return Buffer.concat([length, json, data]);
}
