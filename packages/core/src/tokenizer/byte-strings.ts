/** Builds the tables of byte strings that the WebAssembly encoder takes, without an object for each string. */
import type { ByteStrings } from "@trimtab/kernels";

/** Writes something at a place in `into` and returns the end of it. */
export type Write = (into: Uint8Array, at: number) => number;

export class ByteStringsBuilder {
  #bytes = new Uint8Array(1 << 16);
  readonly #offsets: Uint32Array;
  #count = 0;
  #end = 0;

  /** For exactly `count` strings. */
  constructor(count: number) {
    this.#offsets = new Uint32Array(count + 1);
  }

  /** Appends a string of at most `most` bytes. A `write` that returns a negative number appends none. Returns whether it did. */
  add(most: number, write: Write): boolean {
    if (this.#end + most > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#end + most));
      larger.set(this.#bytes.subarray(0, this.#end));
      this.#bytes = larger;
    }
    const end = write(this.#bytes, this.#end);
    if (end < 0) return false;
    this.#end = end;
    this.#offsets[++this.#count] = end;
    return true;
  }

  finish(): ByteStrings {
    return { bytes: this.#bytes.subarray(0, this.#end), offsets: this.#offsets };
  }
}
