/** Which cache blocks are in use, and by how many rows: blocks of a shared prompt are counted once per row. */

export class BlockAllocator {
  readonly count: number;
  readonly #references: Uint32Array;
  readonly #free: number[];

  constructor(count: number) {
    this.count = count;
    this.#references = new Uint32Array(count);
    this.#free = Array.from({ length: count }, (_, i) => count - 1 - i);
  }

  get available(): number {
    return this.#free.length;
  }

  /** A free block, now with one reference. Asking for more than `available` is a bug of the caller. */
  take(): number {
    const block = this.#free.pop();
    if (block === undefined) throw new RangeError(`BlockAllocator.take: a block must be free, got none of ${this.count}.`);
    this.#references[block] = 1;
    return block;
  }

  /** One more row uses the block. */
  retain(block: number): void {
    this.#references[block] = this.#held("retain", block) + 1;
  }

  /** One row less uses the block; it is free when nobody does. */
  release(block: number): void {
    const left = this.#held("release", block) - 1;
    this.#references[block] = left;
    if (left === 0) this.#free.push(block);
  }

  #held(what: string, block: number): number {
    const references = this.#references[block] ?? 0;
    if (references === 0) throw new RangeError(`BlockAllocator.${what}: block ${block} must be in use, got a free one.`);
    return references;
  }
}
