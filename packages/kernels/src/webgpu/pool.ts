/** Whole GPUBuffers by size class: a freed one serves the next allocation of its class, safely, since a queue keeps its order. */
import { VIEW_ALIGNMENT } from "../device";
import { OutOfMemoryError } from "../errors";

/** A pooled GPUBuffer. */
export interface Block {
  /** Unique among the pool's blocks; part of bind group keys. */
  readonly key: number;
  readonly gpu: GPUBuffer;
  readonly capacity: number;
  /** The command batch that last used it. */
  batch: number;
}

export interface PoolOptions {
  readonly usage: GPUBufferUsageFlags;
  /** The largest buffer the device makes. */
  readonly maxBytes: number;
  /** What all blocks together may hold; pooled ones are given up before an allocation fails. */
  readonly budgetBytes: number;
  readonly label: string;
  /** Called with the promise of an allocation's out-of-memory scope. */
  readonly onAllocate: (check: Promise<GPUError | null>, bytes: number) => void;
  /** Called before blocks are destroyed: whatever refers to them must be submitted or dropped. */
  readonly onTrim: () => void;
}

export class BufferPool {
  readonly #device: GPUDevice;
  readonly #options: PoolOptions;
  readonly #free = new Map<number, Block[]>();
  readonly #all = new Set<Block>();
  #bytes = 0;
  #takenBytes = 0;
  #peakBytes = 0;
  #nextKey = 1;

  constructor(device: GPUDevice, options: PoolOptions) {
    this.#device = device;
    this.#options = options;
  }

  /** Most bytes of blocks that were taken at once: those that wait to be taken again can be given up. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** A block of at least `bytes`; contents are undefined. */
  take(bytes: number): Block {
    const block = this.#find(bytes);
    this.#takenBytes += block.capacity;
    this.#peakBytes = Math.max(this.#peakBytes, this.#takenBytes);
    return block;
  }

  #find(bytes: number): Block {
    const { maxBytes, budgetBytes, label } = this.#options;
    if (bytes > maxBytes) {
      throw new OutOfMemoryError(
        `${label}: a buffer must be at most ${maxBytes} bytes on this device, got ${bytes}. Use smaller tensors or a smaller batch.`,
        bytes,
        maxBytes,
      );
    }
    const capacity = Math.min(sizeClass(bytes), maxBytes - (maxBytes % 4));
    const pooled = this.#free.get(capacity)?.pop();
    if (pooled) return pooled;
    if (this.#bytes + capacity > budgetBytes) this.trim();
    if (this.#bytes + capacity > budgetBytes) {
      const available = Math.max(0, budgetBytes - this.#bytes);
      throw new OutOfMemoryError(
        `${label}: all buffers together must fit ${budgetBytes} bytes, got ${bytes} more with ${available} left. Use a smaller batch.`,
        bytes,
        available,
      );
    }
    this.#device.pushErrorScope("out-of-memory");
    const gpu = this.#device.createBuffer({ size: capacity, usage: this.#options.usage, label: `${label} ${capacity}` });
    this.#options.onAllocate(this.#device.popErrorScope(), bytes);
    const block: Block = { key: this.#nextKey++, gpu, capacity, batch: -1 };
    this.#all.add(block);
    this.#bytes += capacity;
    return block;
  }

  /**
   * The oldest block serves the next allocation of its class, in whatever order blocks came back: steps that ask alike get the same blocks, and so find
   * their bind groups.
   */
  give(block: Block): void {
    this.#takenBytes -= block.capacity;
    const list = this.#free.get(block.capacity) ?? [];
    const at = list.findLastIndex(({ key }) => key > block.key) + 1;
    list.splice(at, 0, block);
    this.#free.set(block.capacity, list);
  }

  /** Destroys the blocks that nobody holds. */
  trim(): void {
    if (![...this.#free.values()].some((blocks) => blocks.length > 0)) return;
    this.#options.onTrim();
    for (const blocks of this.#free.values()) {
      for (const block of blocks) this.#destroy(block);
    }
    this.#free.clear();
  }

  /** Destroys everything. */
  destroy(): void {
    for (const block of this.#all) this.#destroy(block);
    this.#free.clear();
  }

  #destroy(block: Block): void {
    block.gpu.destroy();
    this.#all.delete(block);
    this.#bytes -= block.capacity;
  }
}

/** The next of 1, 1.25, 1.5, 1.75 times a power of two, from 256 bytes up: at most a quarter is wasted. */
export function sizeClass(bytes: number): number {
  if (bytes <= VIEW_ALIGNMENT) return VIEW_ALIGNMENT;
  const power = 2 ** Math.floor(Math.log2(bytes));
  if (power === bytes) return bytes;
  const quarter = power / 4;
  return power + Math.ceil((bytes - power) / quarter) * quarter;
}
