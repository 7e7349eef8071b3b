/** A vector space of plain f64 arrays, for testing the algorithms on parameter vectors without a device. */
import type { LinearOperator, VectorSpace } from "../src/optim/vector-space";

/** Counts live vectors, so that a test can see that none is left. */
export class PlainSpace implements VectorSpace<Float64Array> {
  live = 0;
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  zeros(): Float64Array {
    this.live++;
    return new Float64Array(this.#size);
  }

  free(): void {
    this.live--;
  }

  clear(y: Float64Array): void {
    y.fill(0);
  }

  copy(from: Float64Array, to: Float64Array): void {
    to.set(from);
  }

  addScaled(y: Float64Array, a: number, x: Float64Array): void {
    for (let i = 0; i < y.length; i++) y[i] = (y[i] as number) + a * (x[i] as number);
  }

  scale(y: Float64Array, a: number): void {
    for (let i = 0; i < y.length; i++) y[i] = a * (y[i] as number);
  }

  async dot(x: Float64Array, y: Float64Array): Promise<number> {
    return x.reduce((sum, value, i) => sum + value * (y[i] as number), 0);
  }
}

/** v -> A v for a matrix given by its rows. */
export function matrixOperator(rows: readonly (readonly number[])[]): LinearOperator<Float64Array> {
  return async (v, out) => {
    rows.forEach((row, i) => {
      out[i] = row.reduce((sum, a, j) => sum + a * (v[j] as number), 0);
    });
  };
}
