/** Experience that is learned from many times, and by other policies than its own: a ring of fixed capacity with seeded draws. */
import { randomInt } from "@trimtab/kernels";

export class ReplayBuffer<Item> {
  readonly capacity: number;
  readonly #items: Item[] = [];
  /** Where the next item goes once the buffer is full: the oldest. */
  #next = 0;

  /** Holds at most `capacity` items, at least 1. */
  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get size(): number {
    return this.#items.length;
  }

  /** Adds an item; a full buffer loses its oldest. */
  add(item: Item): void {
    if (this.#items.length < this.capacity) this.#items.push(item);
    else this.#items[this.#next] = item;
    this.#next = (this.#next + 1) % this.capacity;
  }

  /** `count` items, uniformly and with replacement: draw i takes the random number at (seed, stream, i). The buffer must not be empty. */
  sample(count: number, seed: number, stream: number): Item[] {
    return Array.from({ length: count }, (_, i) => this.#items[randomInt(this.#items.length, seed, stream, i)] as Item);
  }

  /** As JSON, for a training state; `toJSON` writes an item. */
  capture(toJSON: (item: Item) => unknown): Record<string, unknown> {
    return { next: this.#next, items: this.#items.map(toJSON) };
  }

  /** The inverse of {@link capture}; what the buffer held is lost. */
  restore(json: Readonly<Record<string, unknown>>, fromJSON: (json: unknown) => Item): void {
    this.#items.splice(0, this.#items.length, ...(json.items as unknown[]).map(fromJSON));
    this.#next = json.next as number;
  }
}
