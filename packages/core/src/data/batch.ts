/** Ragged batches: sequences laid end to end, with a mask of the tokens that count. There is no padding anywhere. */

import { DataError } from "../errors";
import type { Rows } from "../models/decoder";

/** A tokenized sequence; mask[i] is 1 where token i is a target of the loss. The first token never counts. */
export interface Sequence {
  readonly tokens: Uint32Array;
  readonly mask: Uint8Array;
}

/** A ragged batch with the positions of its target tokens. */
export interface Batch extends Rows {
  /** For each target: the row of hidden states that predicts it, which is its position minus one. (M) */
  readonly predictors: Uint32Array;
  /** The target tokens themselves. (M) */
  readonly targets: Uint32Array;
  /** Targets of sequence s are [targetOffsets[s], targetOffsets[s + 1]). (S + 1) */
  readonly targetOffsets: Uint32Array;
}

/** Lays sequences end to end. Throws DataError for a token outside the vocabulary or an empty sequence. */
export function collate(sequences: readonly Sequence[], vocabSize: number): Batch {
  const total = sequences.reduce((sum, s) => sum + s.tokens.length, 0);
  const tokens = new Uint32Array(total);
  const offsets = new Uint32Array(sequences.length + 1);
  const targetOffsets = new Uint32Array(sequences.length + 1);
  const predictors: number[] = [];
  let at = 0;
  sequences.forEach((sequence, s) => {
    const { length } = sequence.tokens;
    if (length === 0) throw new DataError(`collate: every sequence must have at least one token, got none in sequence ${s}.`);
    if (sequence.mask.length !== length) {
      throw new DataError(`collate: mask and tokens of sequence ${s} must be equally long, got ${sequence.mask.length} and ${length}.`);
    }
    sequence.tokens.forEach((token, i) => {
      if (token >= vocabSize) {
        throw new DataError(
          `collate: every token must be below the vocabulary size ${vocabSize}, got ${token} at position ${i} of sequence ${s}.`,
        );
      }
      if (i > 0 && sequence.mask[i]) predictors.push(at + i - 1);
    });
    tokens.set(sequence.tokens, at);
    at += length;
    offsets[s + 1] = at;
    targetOffsets[s + 1] = predictors.length;
  });
  return {
    tokens,
    offsets,
    predictors: Uint32Array.from(predictors),
    targets: Uint32Array.from(predictors, (p) => tokens[p + 1] as number),
    targetOffsets,
  };
}
