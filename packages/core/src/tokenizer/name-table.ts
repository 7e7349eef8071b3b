/** Names of a model's own tokens as bytes, with their ids: no string for any of the hundred thousand. */
import { type ByteStrings, utf8Decoder } from "@trimtab/kernels";
import { bytesOfToken, tokenOfBytes, utf8 } from "./byte-alphabet";

export class NameTable {
  /** The highest id + 1. */
  readonly size: number;
  /** All names; see {@link start}. */
  readonly bytes: Uint8Array;
  readonly #offsets: Uint32Array;
  readonly #ids: Uint32Array | undefined;
  /** Index of the name of each id, or -1. */
  readonly #indexOf: Int32Array;
  /** Index + 1 of a name by its hash, 0 = empty. */
  readonly #slots: Uint32Array;
  /** No id and no name occurs twice. */
  readonly isUnique: boolean;

  /** The names are the bytes that byte-level tokens stand for, rather than UTF-8 of GPT-2's alphabet. */
  readonly areBytes: boolean;

  /** Names and their ids, by default their places. Of equal ids, and of equal names, the last counts. */
  constructor({ bytes, offsets }: ByteStrings, ids?: Uint32Array, { areBytes = false } = {}) {
    this.areBytes = areBytes;
    this.bytes = bytes;
    this.#offsets = offsets;
    this.#ids = ids;
    const count = offsets.length - 1;
    this.size = ids === undefined ? count : ids.reduce((most, id) => Math.max(most, id + 1), 0);
    this.#indexOf = new Int32Array(this.size).fill(-1);
    let capacity = 16;
    while (capacity * 4 < count * 5) capacity *= 2;
    this.#slots = new Uint32Array(capacity);
    let isUnique = true;
    for (let index = 0; index < count; index++) {
      const slot = this.#slotOf(bytes, offsets[index]!, offsets[index + 1]!);
      const id = ids?.[index] ?? index;
      if (this.#slots[slot] !== 0 || this.#indexOf[id] !== -1) isUnique = false;
      this.#slots[slot] = index + 1;
      this.#indexOf[id] = index;
    }
    this.isUnique = isUnique;
  }

  has(id: number): boolean {
    return (this.#indexOf[id] ?? -1) >= 0;
  }

  /** Where in `bytes` the name of an id that has one begins. */
  start(id: number): number {
    return this.#offsets[this.#indexOf[id]!]!;
  }

  end(id: number): number {
    return this.#offsets[this.#indexOf[id]! + 1]!;
  }

  nameOf(id: number): string | undefined {
    if (!this.has(id)) return undefined;
    const bytes = this.bytes.subarray(this.start(id), this.end(id));
    return this.areBytes ? tokenOfBytes(bytes) : utf8Decoder().decode(bytes);
  }

  idOf(name: string): number | undefined {
    const bytes = this.areBytes ? bytesOfToken(name) : utf8(name);
    const id = bytes === undefined ? -1 : this.find(bytes, 0, bytes.length);
    return id < 0 ? undefined : id;
  }

  /** Id of the name that stands in `bytes`, or -1. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const index = this.#slots[this.#slotOf(bytes, start, end)]! - 1;
    return index < 0 ? -1 : (this.#ids?.[index] ?? index);
  }

  /** The slot that holds a name, or the empty one where it would go. */
  #slotOf(bytes: Uint8Array, from: number, to: number): number {
    const mask = this.#slots.length - 1;
    // FNV-1a, its high bits mixed into the low ones that are used.
    let hash = 0x811c9dc5;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (;;) {
      const index = this.#slots[slot]! - 1;
      if (index < 0 || this.#isAt(index, bytes, from, to)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #isAt(index: number, bytes: Uint8Array, from: number, to: number): boolean {
    const start = this.#offsets[index]!;
    if (this.#offsets[index + 1]! - start !== to - from) return false;
    for (let i = 0; i < to - from; i++) if (this.bytes[start + i] !== bytes[from + i]) return false;
    return true;
  }
}
