/**
 * Which cache blocks are in use, and by how many rows: blocks of a shared prompt are counted once per row. Blocks that are kept stay findable when
 * nobody uses them, and are handed out again, the longest unused first, when no others are left.
 */

export class BlockAllocator {
  readonly count: number;
  readonly #references: Uint32Array;
  readonly #free: number[];
  readonly #kept = new Set<number>();
  /** Kept blocks that nobody uses, the longest unused first. */
  readonly #idle = new Set<number>();
  readonly #onLoss: (block: number) => void;

  /** `onLoss` hears of kept blocks whose contents are given up. */
  constructor(count: number, onLoss: (block: number) => void = () => {}) {
    this.count = count;
    this.#references = new Uint32Array(count);
    this.#free = Array.from({ length: count }, (_, i) => count - 1 - i);
    this.#onLoss = onLoss;
  }

  /** Blocks that can be taken: free ones and idle ones. */
  get available(): number {
    return this.#free.length + this.#idle.size;
  }

  /** Kept, and used by nobody. */
  isIdle(block: number): boolean {
    return this.#idle.has(block);
  }

  /** A block with one reference. Asking for more than `available` is a bug of the caller. */
  take(): number {
    const block = this.#free.pop() ?? this.#giveUpIdle();
    if (block === undefined) throw new RangeError(`BlockAllocator.take: a block must be free, got none of ${this.count}.`);
    this.#references[block] = 1;
    return block;
  }

  /** From now on the block's contents stay when nobody uses it, as long as there is room. */
  keep(block: number): void {
    this.#held("keep", block);
    this.#kept.add(block);
  }

  /** One more row uses the block, which may be idle. */
  retain(block: number): void {
    this.#references[block] = (this.#idle.delete(block) ? 0 : this.#held("retain", block)) + 1;
  }

  /** One row less uses the block; when nobody does, it is idle if it is kept, else free. */
  release(block: number): void {
    const left = this.#held("release", block) - 1;
    this.#references[block] = left;
    if (left > 0) return;
    if (this.#kept.has(block)) this.#idle.add(block);
    else this.#free.push(block);
  }

  #giveUpIdle(): number | undefined {
    const [block] = this.#idle;
    if (block === undefined) return undefined;
    this.#idle.delete(block);
    this.#kept.delete(block);
    this.#onLoss(block);
    return block;
  }

  #held(what: string, block: number): number {
    const references = this.#references[block] ?? 0;
    if (references === 0) throw new RangeError(`BlockAllocator.${what}: block ${block} must be in use, got a free one.`);
    return references;
  }
}
