/** What every policy objective receives: the flat values of a micro-batch, and where its completions lie in them. */
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

/**
 * Values of the M counting tokens of S completions, end to end; tool output, prompts and truncated completions are not among them.
 * Everything but `logps` is constant.
 */
export interface PolicyInputs {
  /** log π(o_t): gradients start here. (M) */
  readonly logps: Tensor;
  /** log π_old(o_t); `logps` itself on the first step over fresh completions, where the ratio is then exactly 1. (M) */
  readonly oldLogps: Tensor;
  /** log π_ref(o_t); without it there is no KL term. (M) */
  readonly refLogps?: Tensor | undefined;
  /** A_t. What multiplies the surrogate and not the KL term (masks, importance weights) is a factor of it: see modifiers.ts. (M) */
  readonly advantages: Tensor;
  /** w_t: the reduction, loss = Σ w_t L_t; see token-weights.ts. (M) */
  readonly weights: Tensor;
  readonly segments: Segments;
}

/** Completion s has the tokens [offsets[s], offsets[s + 1]). */
export interface Segments {
  /** u32 (S + 1) */
  readonly offsets: Tensor;
  /** 1 / tokens; 0 for a completion without any. (S) */
  readonly inverseLengths: Tensor;
}

/** Uploads the offsets (S + 1) of a micro-batch. */
export function segmentsOf(tape: Tape, offsets: Uint32Array): Segments {
  const inverse = Float32Array.from({ length: offsets.length - 1 }, (_, s) => {
    const length = (offsets[s + 1] as number) - (offsets[s] as number);
    return length > 0 ? 1 / length : 0;
  });
  return { offsets: tape.constant(offsets), inverseLengths: tape.constant(inverse) };
}

/** A constant 0 for each of M tokens. */
export const zerosLike = (tape: Tape, x: Tensor): Tensor => tape.constant(new Float32Array(x.shape[0] as number));
