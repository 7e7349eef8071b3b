/** The two levels of importance sampling as functions of one shape: a micro-batch's plain numbers in, gradients out. */
import { ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Roots } from "../losses/objective";
import { type PolicyLossOptions, policyLoss } from "../losses/policy-loss";
import { sequencePolicyLoss } from "../losses/sequence-policy-loss";
import type { Tensor } from "../tensor/tensor";

/** A micro-batch of S completions with M counting tokens in all. */
export interface SurrogateInputs {
  /** (M) */
  readonly logps: Tensor;
  /** (M); `logps` itself where the completions are fresh. */
  readonly oldLogps: Tensor;
  /** (M) */
  readonly refLogps: Tensor | undefined;
  /** Tokens of completion s are [targetOffsets[s], targetOffsets[s + 1]). (S + 1) */
  readonly targetOffsets: Uint32Array;
  /** (M); at sequence level the same within each completion. */
  readonly advantages: Float32Array;
  /** The weight of each token of a completion. (S) */
  readonly weights: readonly number[];
}

/** Where the metrics go: POLICY_SUMS (8), and the loss of a surrogate that is not part of those sums (1). */
export interface SurrogateResults {
  readonly sums: Tensor;
  readonly surrogate: Tensor;
}

export type Surrogate = (tape: Tape, inputs: SurrogateInputs, options: PolicyLossOptions, results: SurrogateResults) => Roots;

export const surrogates: Readonly<Record<"token" | "sequence", Surrogate>> = {
  token(tape, inputs, options, { sums, surrogate }) {
    const { logps, oldLogps, refLogps, targetOffsets, advantages, weights } = inputs;
    tape.run(ops.fill.set, { y: surrogate }, { value: 0 });
    const perToken = {
      advantages: tape.constant(advantages),
      weights: tape.constant(spread(weights, targetOffsets)),
      mask: allOnes(tape, targetOffsets),
    };
    return policyLoss(tape, { logps, oldLogps, refLogps, ...perToken }, options, sums);
  },

  sequence(tape, inputs, options, { sums, surrogate }) {
    const { logps, oldLogps, refLogps, targetOffsets, advantages, weights } = inputs;
    const lengths = weights.map((_, s) => (targetOffsets[s + 1] as number) - (targetOffsets[s] as number));
    const constant = (values: readonly number[]) => tape.constant(Float32Array.from(values));
    return sequencePolicyLoss(
      tape,
      {
        logps,
        oldLogps,
        refLogps,
        weights: tape.constant(spread(weights, targetOffsets)),
        mask: allOnes(tape, targetOffsets),
        offsets: tape.constant(targetOffsets),
        inverseLengths: constant(lengths.map((length) => (length > 0 ? 1 / length : 0))),
        sequenceAdvantages: constant(lengths.map((length, s) => (length > 0 ? (advantages[targetOffsets[s] as number] as number) : 0))),
        sequenceWeights: constant(weights.map((weight, s) => weight * (lengths[s] as number))),
      },
      options,
      sums,
      surrogate,
    );
  },
};

/** A batch lists only tokens that count. */
function allOnes(tape: Tape, offsets: Uint32Array): Tensor {
  return tape.constant(new Float32Array(offsets.at(-1) as number).fill(1));
}

/** (S) -> (M) */
function spread(values: readonly number[], offsets: Uint32Array): Float32Array {
  const result = new Float32Array(offsets.at(-1) as number);
  values.forEach((value, s) => {
    result.fill(value, offsets[s], offsets[s + 1]);
  });
  return result;
}
