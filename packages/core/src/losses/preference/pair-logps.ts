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
 * LD-DPO's factors (Liu et al. 2024, equation 10): 1 up to the length of the pair's shorter completion, `ldAlpha` beyond. (M)
 * Offsets as in {@link PairTokens}, over counting tokens only. Matches TRL's `ld_alpha`.
 */
export function lengthDesensitizedWeights(offsets: Uint32Array, ldAlpha: number): Float32Array {
  const lengths = lengthsOf(offsets);
  const pairs = lengths.length / 2;
  const weights = new Float32Array(offsets.at(-1) as number).fill(1);
  lengths.forEach((length, s) => {
    const other = lengths[s < pairs ? s + pairs : s - pairs] as number;
    const start = offsets[s] as number;
    weights.fill(ldAlpha, start + Math.min(length, other), start + length);
  });
  return weights;
}

/** 1 / tokens of each completion, the factors that make sums averages; 0 for a completion without any. (P) each. */
export function inverseLengths(offsets: Uint32Array): { readonly chosen: Float32Array; readonly rejected: Float32Array } {
  const inverse = Float32Array.from(lengthsOf(offsets), (length) => (length > 0 ? 1 / length : 0));
  return { chosen: inverse.slice(0, inverse.length / 2), rejected: inverse.slice(inverse.length / 2) };
}

const lengthsOf = (offsets: Uint32Array): number[] => Array.from(offsets.subarray(1), (end, s) => end - (offsets[s] as number));
