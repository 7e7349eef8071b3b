/**
 * Products of a policy's Fisher matrix with vectors, by first-order gradients only.
 *
 *   F v = ∇²KL(old ‖ new) v  ≈  (∇KL(θ + h v) - ∇KL(θ - h v)) / (2 h),   h = step / ‖v‖
 *
 * At θ = θ_old the Hessian of KL(old ‖ new) is the Fisher matrix (Schulman et al. 2015, appendix C), and the central difference leaves an error
 * of O(h²). A second backward pass would give it exactly; the tape is first order.
 */
import type { LinearOperator, VectorSpace } from "./vector-space";

/** A function of parameters that can be moved, known by its gradient where they stand. */
export interface MovableGradient<Vector> {
  /** The parameters; moved and put back, bit for bit. */
  readonly values: Vector;
  /** The gradient at the present values; it may be overwritten by the next call. */
  gradient(): Promise<Vector>;
}

export interface FisherProductOptions {
  /** Added to the diagonal: (F + damping I) v. Default 0.1. */
  readonly damping?: number;
  /** How far the parameters are moved, ‖h v‖. Default 3e-3: see docs/decisions/0019. */
  readonly step?: number;
}

/** The operator v -> (F + damping I) v, from the gradient of KL(old ‖ new). Two gradients a product; 0 for v = 0. */
export function fisherProduct<Vector>(
  space: VectorSpace<Vector>,
  kl: MovableGradient<Vector>,
  { damping = 0.1, step = 3e-3 }: FisherProductOptions = {},
): LinearOperator<Vector> {
  return async (v, out) => {
    const norm = Math.sqrt(await space.dot(v, v));
    space.clear(out);
    if (norm === 0) return;
    const h = step / norm;
    const start = space.zeros();
    space.copy(kl.values, start);
    try {
      for (const side of [1, -1]) {
        space.copy(start, kl.values);
        space.addScaled(kl.values, side * h, v);
        space.addScaled(out, side / (2 * h), await kl.gradient());
      }
    } finally {
      space.copy(start, kl.values);
      space.free(start);
    }
    space.addScaled(out, damping, v);
  };
}
