/** What the algorithms on whole parameter vectors need of them, wherever the numbers live. */

/** A real inner-product space. Vectors are made and freed through it; nothing else knows what they are. */
export interface VectorSpace<Vector> {
  /** A new vector of zeros. */
  zeros(): Vector;
  free(vector: Vector): void;
  /** y = 0, whatever it held. */
  clear(y: Vector): void;
  /** to = from, bit for bit. */
  copy(from: Vector, to: Vector): void;
  /** y += a x */
  addScaled(y: Vector, a: number, x: Vector): void;
  /** y = a y */
  scale(y: Vector, a: number): void;
  /** x · y */
  dot(x: Vector, y: Vector): Promise<number>;
}

/** Writes A v to `out`, whatever it held. */
export type LinearOperator<Vector> = (v: Vector, out: Vector) => Promise<void>;
