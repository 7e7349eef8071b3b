/** One file from the hub into the cache: by ranges where it was interrupted, checked against its hash, whole or not there. */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { HubError, StorageError, TrimtabError } from "@trimtab/core";
import { isCode, syncDirectory } from "../files";
import { type HubClient, reasonOf } from "./hub-client";
import { claimPartial, leavePartial, removeAbandoned } from "./partial-file";

/** A file as the hub lists it. */
export interface HubFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** Its name in the cache, and its hash: SHA-256 of the bytes of a large file (64 digits), git's SHA-1 of others (40). */
  readonly etag: string;
}

/** What is read back of an interrupted download at a time. */
const REREAD_BYTES = 1 << 20;

/**
 * Downloads `file` to `blob`; nothing happens where that is there. `onBytes` is told how many bytes are there so far.
 *
 * Throws HubError for what the hub sends wrong, StorageError where it cannot be kept. What arrived before a failure is kept for the next try, unless its
 * hash is wrong.
 */
export async function downloadBlob(
  client: HubClient,
  commit: string,
  file: HubFile,
  blob: string,
  onBytes: (loadedBytes: number) => void = () => {},
): Promise<void> {
  if ((await stat(blob).catch(() => undefined))?.size === file.sizeBytes) return;
  await mkdir(dirname(blob), { recursive: true });
  const path = await claimPartial(blob);
  try {
    const handle = await open(path, "a+").then(async (made) => {
      await made.close();
      return open(path, "r+");
    });
    try {
      await new Download(client, commit, file, handle, onBytes).run();
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof WrongBytes) await rm(path, { force: true });
    else await leavePartial(path, blob);
    throw error instanceof WrongBytes ? error.reason : storageFailure(error, file, blob);
  }
  await rename(path, blob);
  await syncDirectory(dirname(blob));
  await removeAbandoned(blob);
}

/** The bytes that arrived are not the file's and are of no use. */
class WrongBytes extends Error {
  readonly reason: HubError;
  constructor(reason: HubError) {
    super(reason.message);
    this.reason = reason;
  }
}

class Download {
  readonly #client: HubClient;
  readonly #commit: string;
  readonly #file: HubFile;
  readonly #handle: FileHandle;
  readonly #onBytes: (loadedBytes: number) => void;
  #hash: Hash;
  /** Bytes that are there and in the hash. */
  #at = 0;

  constructor(client: HubClient, commit: string, file: HubFile, handle: FileHandle, onBytes: (loadedBytes: number) => void) {
    this.#client = client;
    this.#commit = commit;
    this.#file = file;
    this.#handle = handle;
    this.#onBytes = onBytes;
    this.#hash = this.#newHash();
  }

  async run(): Promise<void> {
    const { sizeBytes, etag } = this.#file;
    await this.#reread();
    for (let failures = 0; this.#at < sizeBytes; ) {
      const before = this.#at;
      const problem = await this.#fetchRest();
      if (this.#at === sizeBytes) break;
      failures = this.#at > before ? 1 : failures + 1;
      if (failures >= this.#client.patience.tries) {
        throw this.#error(
          `the file must arrive whole, got ${this.#at} of ${sizeBytes} bytes and then ${problem}. Check the connection and run it again: it goes on from there`,
        );
      }
      await this.#client.wait(failures);
    }
    const digest = this.#hash.digest("hex");
    if (digest === etag) return;
    throw new WrongBytes(
      this.#error(
        `the file's hash must be ${etag}, got ${digest}. What was downloaded has been deleted: run it again; if it stays so, something between here and the hub changes files`,
      ),
    );
  }

  /** Takes over what an interrupted download left. */
  async #reread(): Promise<void> {
    const { size } = await this.#handle.stat();
    if (size > this.#file.sizeBytes) return this.#restart();
    const buffer = new Uint8Array(REREAD_BYTES);
    while (this.#at < size) {
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#at);
      if (bytesRead === 0) break;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#at += bytesRead;
    }
    this.#onBytes(this.#at);
  }

  /** Asks for what is missing and writes what comes; the reason where that was not all. */
  async #fetchRest(): Promise<string> {
    const response = await this.#client.fetchFile(this.#commit, this.#file.name, this.#at);
    try {
      if (this.#at > 0 && response.status !== 206) await this.#restart();
      this.#checkLength(response);
      for await (const chunk of this.#bytes(response)) {
        if (this.#at + chunk.length > this.#file.sizeBytes) {
          throw new WrongBytes(
            this.#error(
              `the file must have ${this.#file.sizeBytes} bytes, got more. What was downloaded has been deleted: try again later`,
            ),
          );
        }
        await this.#write(chunk);
        this.#hash.update(chunk);
        this.#at += chunk.length;
        this.#onBytes(this.#at);
      }
      return "the end";
    } catch (error) {
      if (!(error instanceof CutOff)) throw error;
      return error.message;
    } finally {
      if (!response.bodyUsed) await response.body?.cancel();
    }
  }

  /** The bytes of an answer, whose own failures can be told from those of writing. */
  async *#bytes(response: Response): AsyncGenerator<Uint8Array> {
    const chunks = this.#client.chunks(response);
    try {
      for (;;) {
        const next = await chunks.next().catch((cause: unknown) => {
          this.#client.signal?.throwIfAborted();
          throw new CutOff(reasonOf(cause), { cause });
        });
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await chunks.return(undefined);
    }
  }

  /** A length that contradicts the listing means another file, or a page in its place. */
  #checkLength(response: Response): void {
    const { sizeBytes } = this.#file;
    const length = response.headers.get("Content-Encoding") === null ? response.headers.get("Content-Length") : null;
    const range = response.headers.get("Content-Range");
    const rest = sizeBytes - this.#at;
    if (length !== null && Number(length) !== rest) {
      throw this.#error(`${rest} bytes must come, got a Content-Length of ${length}. Try again later`);
    }
    if (response.status === 206 && range !== `bytes ${this.#at}-${sizeBytes - 1}/${sizeBytes}`) {
      throw this.#error(
        `bytes ${this.#at}-${sizeBytes - 1}/${sizeBytes} must come, got a Content-Range of ${range ?? "none"}. Try again later`,
      );
    }
  }

  async #write(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length; ) {
      done += (await this.#handle.write(chunk, done, chunk.length - done, this.#at + done)).bytesWritten;
    }
  }

  async #restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = this.#newHash();
    this.#at = 0;
  }

  #newHash(): Hash {
    const { etag, sizeBytes } = this.#file;
    // Git's hash of a file begins with this header.
    return etag.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${sizeBytes}\0`);
  }

  #error(problem: string): HubError {
    const { repository } = this.#client.model;
    return new HubError(`${repository}: ${this.#file.name}: ${problem}.`, { repository, file: this.#file.name });
  }
}

/** An answer that broke off; what came of it counts. */
class CutOff extends Error {}

/** What a file system refuses, with what to do. */
function storageFailure(error: unknown, file: HubFile, blob: string): unknown {
  if (error instanceof TrimtabError || !isCode(error, "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EFBIG")) return error;
  return new StorageError(
    `${file.name}: ${dirname(blob)} must take its ${file.sizeBytes} bytes, got: ${(error as Error).message}. Free the disk, or set HF_HOME to a place with room.`,
    { cause: error },
  );
}
