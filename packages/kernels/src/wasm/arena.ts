/** The part of linear memory that buffers and scratch live in: it grows when it must, up to a limit. */
import { OutOfMemoryError } from "../errors";
import { Heap } from "./heap";
import { PAGE_BYTES } from "./webassembly";

/** Kernels may read, never write, a few vectors past a tensor. */
export const OVERREAD_BYTES = 4096;
/** Memory grows by at least this much, so that it grows rarely. */
const GROWTH_BYTES = 16 << 20;

/** Linear memory, or what stands for it. */
export interface Growable {
  /** Bytes there are now. */
  byteLength(): number;
  /** Adds pages; false where the host refuses. */
  grow(pages: number): boolean;
}

export class Arena {
  readonly #heap: Heap;
  readonly #memory: Growable;
  readonly #limit: number;
  readonly #base: number;

  /** From `base` on; the memory may grow to `limit` bytes. */
  constructor(memory: Growable, base: number, limit: number) {
    this.#memory = memory;
    this.#base = base;
    this.#limit = limit;
    this.#heap = new Heap(base);
    this.#heap.extend(memory.byteLength() - OVERREAD_BYTES);
  }

  /** How long linear memory has had to be, from its first byte. */
  get peakBytes(): number {
    return this.#heap.peak + OVERREAD_BYTES;
  }

  /** The address of a new block. Throws OutOfMemoryError. */
  take(byteLength: number): number {
    const found = this.#heap.take(byteLength);
    if (found !== undefined) return found;
    const shortfall = this.#heap.shortfall(byteLength);
    const now = this.#memory.byteLength();
    const needed = this.#heap.end + shortfall + OVERREAD_BYTES;
    const wanted = Math.min(this.#limit, Math.max(needed, now + Math.max(GROWTH_BYTES, now / 4)));
    if (needed > this.#limit || !this.#grow(Math.ceil((wanted - now) / PAGE_BYTES), Math.ceil((needed - now) / PAGE_BYTES))) {
      const available = this.#limit - this.#base - OVERREAD_BYTES - this.#heap.liveBytes;
      throw new OutOfMemoryError(
        `alloc: ${byteLength} bytes must fit the wasm memory of ${this.#limit} bytes, got ${available} free. Use a smaller batch or model, or raise maxMemoryBytes (4 GiB at most).`,
        byteLength,
        available,
      );
    }
    this.#heap.extend(this.#memory.byteLength() - OVERREAD_BYTES);
    return this.#heap.take(byteLength) as number;
  }

  free(address: number): void {
    this.#heap.free(address);
  }

  /** Grows by `pages`, or by `fewest` where the host refuses. */
  #grow(pages: number, fewest: number): boolean {
    return this.#memory.grow(pages) || this.#memory.grow(fewest);
  }
}
