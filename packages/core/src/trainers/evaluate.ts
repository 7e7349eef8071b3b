/** Held-out loss: mean negative log-likelihood and bits per byte. */
import { hostMath } from "@trimtab/kernels";
import { Tape } from "../autograd/tape";
import { collate, type Sequence } from "../data/batch";
import { microBatches } from "../data/micro-batches";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import type { Tokenizer } from "../tokenizer/tokenizer";
import { Readback } from "./readback";

export interface EvaluateLossOptions {
  readonly model: { readonly decoder: Decoder };
  readonly sequences: readonly Sequence[];
  /** Bytes of the text that the targets spell, for bits per byte. */
  readonly bytes?: number | undefined;
  /** Most tokens computed at once. Default 4096. */
  readonly maxTokens?: number | undefined;
}

export interface EvaluationResult {
  /** Mean negative log-likelihood of a target in nats. */
  readonly loss: number;
  /** Means over the targets. */
  readonly entropy: number;
  readonly accuracy: number;
  readonly targets: number;
  /** Total negative log-likelihood in bits, divided by `bytes`; undefined without them. */
  readonly bitsPerByte: number | undefined;
}

/** Runs the model over sequences without training it. One readback. */
export async function evaluateLoss(options: EvaluateLossOptions): Promise<EvaluationResult> {
  const { model, sequences, bytes, maxTokens = 4096 } = options;
  const { decoder } = model;
  const lengths = sequences.map((s) => s.tokens.length);
  const batches = microBatches(lengths, sequences.length, maxTokens)
    .map((indices) =>
      collate(
        indices.map((i) => sequences[i] as Sequence),
        decoder.config.vocabSize,
      ),
    )
    .filter((batch) => batch.targets.length > 0);
  const targets = batches.reduce((sum, batch) => sum + batch.targets.length, 0);
  const readback = new Readback(
    decoder.device,
    batches.flatMap(() => [1, 1, 1]),
  );
  try {
    batches.forEach((batch, i) => {
      const tape = new Tape(decoder.device, { grad: false });
      try {
        const { logp, entropy, hit } = batchLogprobs(tape, decoder, batch); // (M)
        [logp, entropy, hit].forEach((values, k) => {
          readback.sum(tape, values, 3 * i + k);
        });
      } finally {
        tape.dispose();
      }
    });
    const sums = await readback.read();
    const total = (k: number) => sums.reduce((sum, window, i) => (i % 3 === k ? sum + (window[0] as number) : sum), 0);
    return {
      loss: -total(0) / targets,
      entropy: total(1) / targets,
      accuracy: total(2) / targets,
      targets,
      bitsPerByte: bytes === undefined ? undefined : -total(0) / hostMath.log(2) / bytes,
    };
  } finally {
    readback.dispose();
  }
}

/**
 * A long text as sequences of at most `maxLength` tokens for {@link evaluateLoss}. Each begins with the last token of the one
 * before, the first with BOS or EOS where the tokenizer has one, so that every token of the text is predicted once.
 */
export function evaluationSequences(text: string, tokenizer: Tokenizer, maxLength: number): { sequences: Sequence[]; bytes: number } {
  const start = tokenizer.bosTokenId ?? tokenizer.eosTokenId;
  const body = tokenizer.encode(text, { addSpecialTokens: false });
  const tokens = start === undefined ? body : Uint32Array.from([start, ...body]);
  const sequences: Sequence[] = [];
  for (let at = 0; at + 1 < tokens.length; at += maxLength - 1) {
    const slice = tokens.slice(at, at + maxLength);
    sequences.push({ tokens: slice, mask: new Uint8Array(slice.length).fill(1, 1) });
  }
  const unpredicted = start === undefined && body.length > 0 ? utf8Length(tokenizer.decode(body.subarray(0, 1))) : 0;
  return { sequences, bytes: utf8Length(text) - unpredicted };
}

/** Bytes of a text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}
