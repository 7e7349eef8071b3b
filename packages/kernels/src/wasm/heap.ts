/**
 * The arena over linear memory: blocks in size classes, coalesced when freed.
 *
 * Sizes are rounded up to eight classes an octave, so that nearly equal requests reuse each other's blocks; a freed block merges with its free
 * neighbours, so that ragged batches of ever-changing sizes cannot grind the arena into pieces, which pure size classes would let them do.
 */

/** Every block starts at a multiple of this. */
export const HEAP_ALIGNMENT = 64;

interface Block {
  readonly start: number;
  size: number;
  isFree: boolean;
  /** Neighbours in memory. */
  before: Block | undefined;
  after: Block | undefined;
  /** Neighbours in the list of its class, while free. */
  previous: Block | undefined;
  next: Block | undefined;
}

/** Classes per octave, the octave of the alignment, and the last one: linear memory ends at 2^32, what is planned for it need not. */
const STEP_BITS = 3;
const STEPS = 1 << STEP_BITS;
const FIRST_OCTAVE = Math.log2(HEAP_ALIGNMENT);
const LAST_OCTAVE = 42;
const CLASSES = (LAST_OCTAVE + 1 - FIRST_OCTAVE) * STEPS;

/** ⌊log2 size⌋ */
function octaveOf(size: number): number {
  return size < 2 ** 32 ? 31 - Math.clz32(size) : 63 - Math.clz32(Math.floor(size / 2 ** 32));
}

/** The class of a size: the largest whose smallest member is not above it. */
function classOf(size: number): number {
  const octave = octaveOf(size);
  const step = octave < 31 ? (size >>> (octave - STEP_BITS)) & (STEPS - 1) : Math.floor((size / 2 ** octave - 1) * STEPS);
  return (octave - FIRST_OCTAVE) * STEPS + step;
}

/** The smallest size that `classOf` maps to a class at or above the request's own, a multiple of the alignment. */
export function roundUp(byteLength: number): number {
  const size = Math.max(HEAP_ALIGNMENT, Math.ceil(byteLength / HEAP_ALIGNMENT) * HEAP_ALIGNMENT);
  const octave = octaveOf(size);
  const unit = Math.max(HEAP_ALIGNMENT, octave < 31 ? 1 << (octave - STEP_BITS) : 2 ** (octave - STEP_BITS));
  return Math.ceil(size / unit) * unit;
}

export class Heap {
  /** First byte, and end of the memory now under management. */
  readonly #base: number;
  #end: number;
  readonly #lists: (Block | undefined)[] = new Array(CLASSES).fill(undefined);
  readonly #live = new Map<number, Block>();
  #last: Block | undefined;
  #liveBytes = 0;
  #peak: number;

  constructor(base: number) {
    this.#base = Math.ceil(base / HEAP_ALIGNMENT) * HEAP_ALIGNMENT;
    this.#end = this.#base;
    this.#peak = this.#base;
  }

  /** End of the managed memory: what linear memory must reach. */
  get end(): number {
    return this.#end;
  }

  /** Bytes in live blocks, rounding included. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** The highest that any block has reached: how much memory was needed, fragments included. */
  get peak(): number {
    return this.#peak;
  }

  /** A block for `byteLength` bytes, or undefined when {@link extend} must be called first. */
  take(byteLength: number): number | undefined {
    const size = roundUp(byteLength);
    for (let list = classOf(size); list < CLASSES; list++) {
      // Blocks of the request's own class may be too small; of higher classes, none is.
      for (let block = this.#lists[list]; block; block = block.next) {
        if (block.size >= size) return this.#occupy(block, size);
      }
    }
    return undefined;
  }

  /** How many bytes the end must move for a block of `byteLength`; the last block counts when it is free. */
  shortfall(byteLength: number): number {
    return roundUp(byteLength) - (this.#last?.isFree ? this.#last.size : 0);
  }

  /** Moves the end: the new memory is free. */
  extend(end: number): void {
    const size = Math.floor((end - this.#end) / HEAP_ALIGNMENT) * HEAP_ALIGNMENT;
    if (size <= 0) return;
    const block: Block = {
      start: this.#end,
      size,
      isFree: false,
      before: this.#last,
      after: undefined,
      previous: undefined,
      next: undefined,
    };
    if (this.#last) this.#last.after = block;
    this.#last = block;
    this.#end += size;
    this.#release(block);
  }

  /** Returns a block by its address; false when there is none. */
  free(start: number): boolean {
    const block = this.#live.get(start);
    if (!block) return false;
    this.#live.delete(start);
    this.#liveBytes -= block.size;
    this.#release(block);
    return true;
  }

  #occupy(block: Block, size: number): number {
    this.#unlist(block);
    const rest = block.size - size;
    if (rest >= HEAP_ALIGNMENT) {
      const tail: Block = {
        start: block.start + size,
        size: rest,
        isFree: false,
        before: block,
        after: block.after,
        previous: undefined,
        next: undefined,
      };
      if (tail.after) tail.after.before = tail;
      else this.#last = tail;
      block.after = tail;
      block.size = size;
      this.#enlist(tail);
    }
    this.#live.set(block.start, block);
    this.#liveBytes += block.size;
    this.#peak = Math.max(this.#peak, block.start + block.size);
    return block.start;
  }

  /** Merges a block with its free neighbours and lists the result. */
  #release(block: Block): void {
    let merged = block;
    if (block.before?.isFree) {
      merged = block.before;
      this.#unlist(merged);
      this.#absorb(merged, block);
    }
    if (merged.after?.isFree) {
      this.#unlist(merged.after);
      this.#absorb(merged, merged.after);
    }
    this.#enlist(merged);
  }

  #absorb(block: Block, after: Block): void {
    block.size += after.size;
    block.after = after.after;
    if (after.after) after.after.before = block;
    else this.#last = block;
  }

  #enlist(block: Block): void {
    const list = classOf(block.size);
    block.isFree = true;
    block.previous = undefined;
    block.next = this.#lists[list];
    if (block.next) block.next.previous = block;
    this.#lists[list] = block;
  }

  #unlist(block: Block): void {
    block.isFree = false;
    if (block.previous) block.previous.next = block.next;
    else this.#lists[classOf(block.size)] = block.next;
    if (block.next) block.next.previous = block.previous;
    block.previous = undefined;
    block.next = undefined;
  }
}
