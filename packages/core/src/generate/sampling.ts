/** Sampling on the device: logits to tokens and log-probabilities, every row by its own settings. */
import { ops, seedWords } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { Row } from "./row";
import { wordsOf } from "./token-mask";

/** Of R rows. */
export interface SamplerRows {
  /** (R, 5), see {@link settingsOf} */
  readonly settings: Tensor;
  /** u32 (R, 3), see {@link keysOf} */
  readonly keys: Tensor;
  /** u32 (R): those of the tokens to be sampled. */
  readonly positions: Tensor;
  /** u32 (R, ⌈V / 32⌉); absent where any token of any row may be drawn. */
  readonly allowed: Tensor | undefined;
  /** u32 (R, ⌈V / 32⌉) */
  readonly seen: Tensor | undefined;
  /** u32 (R) */
  readonly tokens: Tensor;
  /** (R) */
  readonly logp: Tensor;
}

/** Elements of a row of `settings` and of `keys`. */
export const SETTINGS = 5;
export const KEYS = 3;

/** logits (R, V) -> a token and its log-probability per row. */
export function sampleTokens(tape: Tape, logits: Tensor, rows: SamplerRows): void {
  tape.run(ops.sample.forward, { logits, ...rows }, { W: wordsOf(logits.shape[1] as number) });
}

/** Temperature, top-k, top-p, min-p and repetition penalty of each row, (R, 5). */
export function settingsOf(rows: readonly Row[]): Float32Array {
  return Float32Array.from(
    rows.flatMap(({ sampling: { temperature, topK, topP, minP, repetitionPenalty } }) => [
      temperature,
      topK,
      topP,
      minP,
      repetitionPenalty,
    ]),
  );
}

/** Seed and stream of each row, (R, 3). */
export function keysOf(rows: readonly Row[]): Uint32Array {
  return Uint32Array.from(rows.flatMap(({ sampling, stream }) => [...seedWords(sampling.seed), stream]));
}

/** The rows' bit masks of tokens that have occurred, (R, W), zeros where a row keeps none; undefined where no row does. */
export function seenOf(rows: readonly Row[]): Uint32Array | undefined {
  const words = rows.find(({ seen }) => seen)?.seen?.length;
  if (words === undefined) return undefined;
  const all = new Uint32Array(rows.length * words);
  rows.forEach(({ seen }, r) => {
    if (seen) all.set(seen, r * words);
  });
  return all;
}

/** The rows' bit masks of tokens that may be drawn, (R, W), all where a row has no constraint; undefined where no row has. */
export function allowedOf(rows: readonly Row[], vocabSize: number): Uint32Array | undefined {
  if (!rows.some(({ constraint }) => constraint)) return undefined;
  const words = wordsOf(vocabSize);
  const all = new Uint32Array(rows.length * words).fill(0xffffffff);
  rows.forEach(({ constraint }, r) => {
    if (constraint) all.set(constraint.allowed(), r * words);
  });
  return all;
}
