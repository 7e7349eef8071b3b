/** From log-probabilities of tokens to those of whole completions, chosen and rejected, and what their lengths give. */
import { binary, mul } from "../../autograd/elementwise";
import { segmentSum } from "../../autograd/segment";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

/** One value for each side of every pair, (P) each. */
export interface PairValues {
  readonly chosen: Tensor;
  readonly rejected: Tensor;
}

/** The tokens of 2P completions: the P chosen ones, then the P rejected ones in the same order. */
export interface PairTokens {
  /** Tokens of completion s are [offsets[s], offsets[s + 1]). (2P + 1) */
  readonly offsets: Uint32Array;
  /** 1 = counts. Default: every token counts. (M) */
  readonly mask?: Tensor | undefined;
  /** Factor of each token, a constant: {@link lengthDesensitizedWeights}. Default 1. (M) */
  readonly weights?: Tensor | undefined;
}

/** values (M) -> Σ weight · value over the counting tokens of each completion. What a token without mask holds cannot matter. */
export function pairSums(tape: Tape, values: Tensor, { offsets, mask, weights }: PairTokens): PairValues {
  const pairs = (offsets.length - 1) / 2;
  const kept = mask ? binary(tape, "keep", values, mask) : values;
  const weighed = weights ? mul(tape, kept, weights) : kept;
  // Tokens outside every segment are nobody's: each side is a sum over its own part of the offsets.
  return {
    chosen: segmentSum(tape, weighed, tape.constant(offsets.slice(0, pairs + 1))),
    rejected: segmentSum(tape, weighed, tape.constant(offsets.slice(pairs))),
  };
}

/**
 * LD-DPO's factors (Liu et al. 2024, equation 10): 1 up to the length of the pair's shorter completion, `ldAlpha` beyond. `lengths` are the
 * counting tokens of the 2P completions; one factor for each token (M). Matches TRL's `ld_alpha`.
 */
export function lengthDesensitizedWeights(lengths: readonly number[], ldAlpha: number): Float32Array {
  const pairs = lengths.length / 2;
  return Float32Array.from(
    lengths.flatMap((length, s) => {
      const other = lengths[s < pairs ? s + pairs : s - pairs] as number;
      return Array.from({ length }, (_, t) => (t < other ? 1 : ldAlpha));
    }),
  );
}

/** 1 / tokens of each of 2P completions, the factors that make sums averages; 0 for one without tokens. (P) each. */
export function inverseLengths(lengths: readonly number[]): { readonly chosen: Float32Array; readonly rejected: Float32Array } {
  const inverse = Float32Array.from(lengths, (length) => (length > 0 ? 1 / length : 0));
  return { chosen: inverse.slice(0, inverse.length / 2), rejected: inverse.slice(inverse.length / 2) };
}
