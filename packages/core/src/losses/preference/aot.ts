/**
 * Alignment by optimal transport: not each pair but the sorted values of a step are compared, so that the whole distribution of
 * chosen log-ratios comes to dominate that of the rejected ones.
 *
 *   aot           sorted (log π(c) - log π(r)) against sorted (log π_ref(c) - log π_ref(r))
 *   aot_unpaired  sorted chosen log-ratios against sorted rejected log-ratios
 *
 * Melnyk et al. 2024, equations 6 and 7. Matches TRL's aot and aot_unpaired. Sorting couples the pairs of a step: who is compared
 * with whom is found on the host from a pass without gradient over the whole step, so that the gradient does not depend on
 * micro-batches. Departure: TRL sorts within a micro-batch.
 */
import { add, affine, sub } from "../../autograd/elementwise";
import { ConfigError } from "../../errors";
import type { Tensor } from "../../tensor/tensor";
import type { DpoPairs, DpoTerm, Matched } from "./dpo-pairs";
import { logisticLoss } from "./margin-losses";

/** A value for each side of every pair of a step, on the host. (P) each. */
export interface SideValues {
  readonly chosen: ArrayLike<number>;
  readonly rejected: ArrayLike<number>;
}

/** Finds partners by rank from log π and log π_ref of the completions; equal values keep the order of the pairs. */
export function matchByRank(policy: SideValues, reference: SideValues): Matched<Float32Array> {
  const difference = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a, (value, i) => value - (b[i] as number));
  const chosen = difference(policy.chosen, reference.chosen);
  const rejected = difference(policy.rejected, reference.rejected);
  return {
    refGaps: ofEqualRank(difference(policy.chosen, policy.rejected), difference(reference.chosen, reference.rejected)),
    rejectedLogratios: ofEqualRank(chosen, rejected),
    chosenLogratios: ofEqualRank(rejected, chosen),
  };
}

/** For each of `values` the one of `others` with its rank. */
function ofEqualRank(values: readonly number[], others: readonly number[]): Float32Array {
  const sorted = [...others].sort((a, b) => a - b);
  const order = [...values.keys()].sort((a, b) => (values[a] as number) - (values[b] as number) || a - b);
  const partners = new Float32Array(values.length);
  order.forEach((index, rank) => {
    partners[index] = sorted[rank] as number;
  });
  return partners;
}

function requireMatched({ matched }: DpoPairs, name: string): Matched<Tensor> {
  if (matched) return matched;
  throw new ConfigError(`${name}: the step's values matched by rank must be given, got none. Pass \`matched\` from matchByRank.`);
}

/** The logistic loss, with label smoothing, of β times the gap to the reference's gap of equal rank. */
export const dpoAot: DpoTerm = (tape, pairs, { beta, labelSmoothing }) => {
  const { refGaps } = requireMatched(pairs, "aot");
  const gaps = sub(tape, sub(tape, pairs.chosenLogps, pairs.rejectedLogps), refGaps);
  return logisticLoss(tape, affine(tape, gaps, beta), labelSmoothing);
};

/**
 * The same of the gap to the rejected log-ratio of equal rank. Both sides carry a gradient but only one is in this pair: the value is
 * that of the chosen side against its partner, and the rejected side against its partner adds a gradient and no value.
 */
export const dpoAotUnpaired: DpoTerm = (tape, pairs, { beta, labelSmoothing }) => {
  const matched = requireMatched(pairs, "aot_unpaired");
  const gapLoss = (chosen: Tensor, rejected: Tensor) => logisticLoss(tape, affine(tape, sub(tape, chosen, rejected), beta), labelSmoothing);
  const chosenSide = gapLoss(pairs.chosenLogratios, matched.rejectedLogratios);
  const rejectedSide = gapLoss(matched.chosenLogratios, pairs.rejectedLogratios);
  return add(tape, chosenSide, sub(tape, rejectedSide, { ...rejectedSide }));
};
