/** Sampling on the device: logits to tokens and log-probabilities. */
import { ops, seedWords } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { Settings } from "./settings";

/** Each (R); `positions` are those of the tokens to be sampled, `seen` u32 (R, ⌈V / 32⌉). */
export interface SamplerRows {
  readonly streams: Tensor;
  readonly positions: Tensor;
  readonly seen: Tensor | undefined;
  readonly tokens: Tensor;
  readonly logp: Tensor;
}

/** logits (R, V) -> a token and its log-probability per row. */
export function sampleTokens(tape: Tape, settings: Settings, logits: Tensor, rows: SamplerRows): void {
  const [seed_lo, seed_hi] = seedWords(settings.seed);
  tape.run(
    ops.sample.forward,
    { logits, ...rows },
    {
      W: Math.ceil((logits.shape[1] as number) / 32),
      temperature: settings.temperature,
      top_k: settings.topK,
      top_p: settings.topP,
      min_p: settings.minP,
      repetition_penalty: settings.repetitionPenalty,
      seed_lo,
      seed_hi,
    },
  );
}

/** The rows' bit masks of tokens that have occurred, one after another; undefined without a repetition penalty. */
export function seenWords(rows: readonly { readonly seen: Uint32Array | undefined }[]): Uint32Array | undefined {
  const words = rows[0]?.seen?.length;
  if (words === undefined) return undefined;
  const all = new Uint32Array(rows.length * words);
  rows.forEach((row, r) => {
    all.set(row.seen as Uint32Array, r * words);
  });
  return all;
}
