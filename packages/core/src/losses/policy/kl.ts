/**
 * Estimators of KL(π ‖ π') at sampled tokens, from a_t = log π(o_t) - log π'(o_t) with o_t drawn from π.
 *
 *   k1 = a          unbiased, may be negative
 *   k2 = a² / 2     biased, small for near policies
 *   k3 = e^(-a) - 1 + a   unbiased, never negative
 *   abs = |a|
 *
 * Schulman 2020, "Approximating KL divergence". As a LOSS over on-policy samples their expected gradients differ: k1 gives 0, k2 gives
 * ∇KL(π ‖ π'), k3 gives ∇KL(π' ‖ π), and the importance ratio times k1 or k3, not detached, gives ∇KL(π ‖ π') (tested by enumeration).
 */
import { add, affine, sub, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

export type KlEstimator = "k1" | "k2" | "k3" | "abs";

/** a (M) -> KL_t (M) */
export function klEstimate(tape: Tape, a: Tensor, estimator: KlEstimator): Tensor {
  return estimators[estimator](tape, a);
}

/** The value of an estimator with the gradient of k2 (verl's "k1+", "k3+"): what is reported and what is followed are both KL(π ‖ π'). a (M) -> (M) */
export function straightThroughKl(tape: Tape, a: Tensor, estimator: KlEstimator): Tensor {
  const k2 = klEstimate(tape, a, "k2");
  return add(tape, k2, { ...sub(tape, klEstimate(tape, a, estimator), { ...k2 }) });
}

const estimators: Readonly<Record<KlEstimator, (tape: Tape, a: Tensor) => Tensor>> = {
  k1: (_, a) => a,
  k2: (tape, a) => affine(tape, unary(tape, "square", a), 0.5),
  k3: (tape, a) => add(tape, unary(tape, "expm1", affine(tape, a, -1)), a),
  abs: (tape, a) => unary(tape, "abs", a),
};
