/** Builds the tables of byte strings that the WebAssembly encoder takes, without an object for each string. */
import type { ByteStrings } from "@trimtab/kernels";

export class ByteStringsBuilder {
  /** Written by whoever adds a string, from `end` on. */
  bytes: Uint8Array;
  /** Where the next string begins. */
  end = 0;
  readonly #offsets: Uint32Array;
  #count = 0;

  /** For exactly `count` strings, of `sizeBytes` in all or somewhat more. */
  constructor(count: number, sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
    this.#offsets = new Uint32Array(count + 1);
  }

  /** Makes room for a string of at most `most` bytes. */
  room(most: number): void {
    if (this.end + most <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.end + most));
    larger.set(this.bytes.subarray(0, this.end));
    this.bytes = larger;
  }

  /** A string ends where the next one begins. */
  close(end: number): void {
    this.end = end;
    this.#offsets[++this.#count] = end;
  }

  /** Copies a string. */
  add(from: Uint8Array, start: number, end: number): void {
    this.room(end - start);
    for (let i = start; i < end; i++) this.bytes[this.end + i - start] = from[i]!;
    this.close(this.end + end - start);
  }

  finish(): ByteStrings {
    return { bytes: this.bytes.subarray(0, this.end), offsets: this.#offsets };
  }
}
