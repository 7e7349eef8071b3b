/** Conjugate gradients for A x = b, with a symmetric positive definite A that is known by its products only (Hestenes and Stiefel 1952). */
import type { LinearOperator, VectorSpace } from "./vector-space";

export interface ConjugateGradientOptions {
  /** Rounds; each takes one product with A. Default 10. */
  readonly iterations?: number;
  /** Added to p · A p, so that a direction without curvature gives no infinite step; relative to the size of b. Default 1e-8. */
  readonly epsilon?: number;
}

/**
 * Writes to `x` what `iterations` rounds from x = 0 reach, and returns ‖b - A x‖ as the recurrence has it. Matches spinningup's trpo: no test
 * of the residual, epsilon in the denominator. Departure: a residual of exactly 0 ends it, where spinningup divides 0 by 0.
 */
export async function conjugateGradient<Vector>(
  space: VectorSpace<Vector>,
  product: LinearOperator<Vector>,
  b: Vector,
  x: Vector,
  { iterations = 10, epsilon = 1e-8 }: ConjugateGradientOptions = {},
): Promise<number> {
  const [r, p, Ap] = [space.zeros(), space.zeros(), space.zeros()];
  try {
    space.clear(x);
    space.copy(b, r);
    space.copy(b, p);
    let rr = await space.dot(r, r);
    for (let round = 0; round < iterations && rr > 0; round++) {
      await product(p, Ap);
      const alpha = rr / ((await space.dot(p, Ap)) + epsilon);
      space.addScaled(x, alpha, p);
      space.addScaled(r, -alpha, Ap);
      const next = await space.dot(r, r);
      space.scale(p, next / rr);
      space.addScaled(p, 1, r);
      rr = next;
    }
    return Math.sqrt(rr);
  } finally {
    for (const vector of [r, p, Ap]) space.free(vector);
  }
}
