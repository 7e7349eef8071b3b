/** The endless order in which a dataset is visited: epoch after epoch, addressed by position, so that resuming needs one number. */
import { shuffle } from "@trimtab/kernels";

/** Streams of the shuffles, apart from those of sampling and initialisation. */
const SHUFFLE_STREAM = 0x5f0e0000;

export class DataOrder {
  readonly size: number;
  readonly #seed: number;
  readonly #shuffled: boolean;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array(0);

  /** `size` items; when shuffled, epoch e has the permutation of (seed, e). */
  constructor(size: number, seed: number, shuffled: boolean) {
    this.size = size;
    this.#seed = seed;
    this.#shuffled = shuffled;
  }

  /** The item at a position counted from the start of training. */
  at(position: number): number {
    const epoch = Math.floor(position / this.size);
    const place = position - epoch * this.size;
    if (!this.#shuffled) return place;
    if (epoch !== this.#epoch) {
      this.#order = shuffle(this.size, this.#seed, SHUFFLE_STREAM + epoch);
      this.#epoch = epoch;
    }
    return this.#order[place] as number;
  }

  /** `count` items from a position on. */
  slice(position: number, count: number): number[] {
    return Array.from({ length: count }, (_, i) => this.at(position + i));
  }
}
