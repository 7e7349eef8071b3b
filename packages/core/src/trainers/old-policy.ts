/** A policy as it was at some micro-batches' targets, kept on the device: what exact divergences are measured from. */
import { Tape } from "../autograd/tape";
import { vocabPair } from "../autograd/vocab-pair";
import type { Batch } from "../data/batch";
import type { Decoder } from "../models/decoder";
import { targetHidden } from "../models/logprobs";
import { allocate, type Tensor } from "../tensor/tensor";
import type { TokenTable } from "../tensor/token-table";

export class OldPolicy {
  readonly #decoder: Decoder;
  readonly #temperature: number;
  /** Hidden states of each batch's targets, (M, C). */
  readonly #hidden: readonly Tensor[];
  readonly #head: TokenTable;

  /** Records `decoder` as it is now, by a forward pass over `batches`. */
  constructor(decoder: Decoder, batches: readonly Batch[], temperature: number) {
    const { device } = decoder;
    this.#decoder = decoder;
    this.#temperature = temperature;
    this.#head = { parts: decoder.head.parts.map(({ value, firstRow }) => ({ value: kept(decoder, value), firstRow })) };
    this.#hidden = batches.map((batch) => {
      const tape = new Tape(device, { grad: false });
      try {
        return kept(decoder, targetHidden(tape, decoder, batch));
      } finally {
        tape.dispose();
      }
    });
  }

  /** KL(old ‖ now) of the whole distribution at each target of batch `index`, from the hidden states (M, C) of now. (M) */
  divergence(tape: Tape, hidden: Tensor, index: number): Tensor {
    const temperature = this.#temperature;
    return vocabPair(tape, {
      learning: { hidden, head: this.#decoder.head, temperature },
      fixed: { hidden: this.#hidden[index] as Tensor, head: { ...this.#head, softCap: this.#decoder.head.softCap }, temperature },
      beta: 0,
    });
  }

  dispose(): void {
    for (const { buffer } of [...this.#head.parts.map(({ value }) => value), ...this.#hidden]) this.#decoder.device.free(buffer);
  }
}

/** A copy that outlives the tape. */
function kept({ device }: Decoder, tensor: Tensor): Tensor {
  const copy = allocate(device, tensor.shape, "f32", "weights");
  device.copy(tensor, copy);
  return copy;
}
