/** The decoder that generates with its cache, and where another one's hidden states shift its logits, that one with a cache of the same layout. */

import { add } from "../autograd/elementwise";
import type { Tape } from "../autograd/tape";
import type { Decoder } from "../models/decoder";
import { logits } from "../nn/head";
import type { Tensor } from "../tensor/tensor";
import type { LogitShift } from "./options";
import { layerBlockBytes, PagedCache } from "./paged-cache";
import type { BatchSettings } from "./settings";

/** A decoder and the keys and values of its layers. */
export interface Trunk {
  readonly decoder: Decoder;
  readonly cache: PagedCache;
}

export class Trunks {
  /** Its cache hands out the blocks. */
  readonly policy: Trunk;
  readonly #guide: Trunk | undefined;
  readonly #shift: LogitShift | undefined;

  /** `session` owns the memory. */
  constructor(session: Tape, { decoder, logitShift, blockSize }: BatchSettings, blockCount: number) {
    const open = (of: Decoder): Trunk => ({ decoder: of, cache: new PagedCache(session, of.config, blockSize, blockCount) });
    this.policy = open(decoder);
    this.#guide = logitShift?.decoder && open(logitShift.decoder);
    this.#shift = logitShift;
  }

  /** Of all caches. */
  get byteLength(): number {
    return this.policy.cache.byteLength + (this.#guide?.cache.byteLength ?? 0);
  }

  /** Logits (R, V) of the newest positions; `hiddenOf` runs a trunk over them and returns their hidden states (R, C). */
  logits(tape: Tape, hiddenOf: (trunk: Trunk) => Tensor): Tensor {
    const hidden = hiddenOf(this.policy);
    const { head } = this.policy.decoder;
    const own = logits(tape, hidden, head);
    return this.#shift ? add(tape, own, this.#shift.shift(tape, this.#guide ? hiddenOf(this.#guide) : hidden)) : own;
  }
}

/** What a block costs: in all layers of all trunks, and in the layer where it is largest. */
export function blockBytes({ decoder, logitShift, blockSize }: BatchSettings): { readonly all: number; readonly largest: number } {
  const configs = [decoder, ...(logitShift?.decoder ? [logitShift.decoder] : [])].map(({ config }) => config);
  const perLayer = configs.map((config) => layerBlockBytes(config, blockSize));
  return {
    all: configs.reduce((sum, { layers }, i) => sum + layers * (perLayer[i] as number), 0),
    largest: Math.max(...perLayer),
  };
}
