/** The pieces of a natural-gradient step on plain numbers: conjugate gradients, Fisher products, the line search. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { conjugateGradient } from "../src/optim/conjugate-gradient";
import { fisherProduct } from "../src/optim/fisher-product";
import { lineSearch } from "../src/optim/line-search";
import { matrixOperator, PlainSpace } from "./plain-space";

const vector = (...values: number[]) => Float64Array.from(values);
const expectVector = (x: Float64Array, expected: readonly number[], digits = 12) =>
  expected.forEach((value, i) => {
    expect(x[i]).toBeCloseTo(value, digits);
  });

describe("conjugateGradient", () => {
  const A = matrixOperator([
    [4, 1],
    [1, 3],
  ]);

  test("one round of a worked example, then the solution", async () => {
    const space = new PlainSpace(2);
    const x = vector(9, 9);
    // r = p = b = (1, 2): alpha = r·r / p·Ap = 5 / (1·6 + 2·7) = 1/4.
    const residual = await conjugateGradient(space, A, vector(1, 2), x, { iterations: 1, epsilon: 0 });
    expectVector(x, [0.25, 0.5]);
    // b - A x = (1 - 1.5, 2 - 1.75)
    expect(residual).toBeCloseTo(Math.hypot(-0.5, 0.25), 12);
    // The inverse of A is ((3, -1), (-1, 4)) / 11.
    await conjugateGradient(space, A, vector(1, 2), x, { iterations: 2, epsilon: 0 });
    expectVector(x, [1 / 11, 7 / 11]);
    expect(space.live).toBe(0);
  });

  test("epsilon stands in the denominator", async () => {
    const x = vector(0, 0);
    await conjugateGradient(new PlainSpace(2), A, vector(1, 2), x, { iterations: 1, epsilon: 5 });
    expectVector(x, [0.2, 0.4]);
  });

  test("exactly as many products as rounds; none for b = 0", async () => {
    let products = 0;
    const counted = async (v: Float64Array, out: Float64Array) => {
      products++;
      await A(v, out);
    };
    const x = vector(0, 0);
    await conjugateGradient(new PlainSpace(2), counted, vector(1, 2), x);
    expect(products).toBe(10);
    expectVector(x, [1 / 11, 7 / 11], 6);
    await conjugateGradient(new PlainSpace(2), counted, vector(0, 0), x);
    expect(products).toBe(10);
    expect([...x]).toEqual([0, 0]);
  });

  test("solves any well-conditioned system in as many rounds as it has unknowns", async () => {
    const entry = fc.double({ min: -1, max: 1, noNaN: true });
    const square = fc.array(fc.array(entry, { minLength: 4, maxLength: 4 }), { minLength: 4, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(square, fc.array(entry, { minLength: 4, maxLength: 4 }), async (M, solution) => {
        // MᵀM + I is positive definite.
        const rows = M.map((_, i) => M.map((_, j) => M.reduce((sum, row) => sum + row[i]! * row[j]!, i === j ? 1 : 0)));
        const b = vector(...rows.map((row) => row.reduce((sum, a, j) => sum + a * solution[j]!, 0)));
        const x = new Float64Array(4);
        await conjugateGradient(new PlainSpace(4), matrixOperator(rows), b, x, { iterations: 4, epsilon: 0 });
        expectVector(x, solution, 6);
      }),
      { seed: 1, numRuns: 100 },
    );
  });
});

describe("fisherProduct", () => {
  test("is the Hessian's product of a function with a third derivative, damped, and puts the values back", async () => {
    // f(x, y) = x²y + y³: Hessian ((2y, 2x), (2x, 6y)). The gradient is quadratic, so that a central difference is exact.
    const values = vector(0.3, -0.7);
    const gradient = async () => {
      const [x, y] = values as unknown as [number, number];
      return vector(2 * x * y, x * x + 3 * y * y);
    };
    const space = new PlainSpace(2);
    const out = vector(7, 7);
    await fisherProduct(space, { values, gradient }, { damping: 0.1, step: 0.01 })(vector(3, -2), out);
    expectVector(out, [2 * -0.7 * 3 + 2 * 0.3 * -2 + 0.3, 2 * 0.3 * 3 + 6 * -0.7 * -2 - 0.2], 10);
    expect([...values]).toEqual([0.3, -0.7]);
    await fisherProduct(space, { values, gradient })(vector(0, 0), out);
    expect([...out]).toEqual([0, 0]);
    expect(space.live).toBe(0);
  });

  test("moves the values by `step`, whatever the length of v, and puts them back when the gradient throws", async () => {
    const values = vector(1, 1);
    const seen: number[][] = [];
    const kl = {
      values,
      gradient: async () => {
        seen.push([...values]);
        if (seen.length === 4) throw new Error("gone");
        return vector(0, 0);
      },
    };
    const product = fisherProduct(new PlainSpace(2), kl, { step: 0.5 });
    await product(vector(0, 300), vector(0, 0));
    expect(seen).toEqual([
      [1, 1.5],
      [1, 0.5],
    ]);
    await expect(product(vector(1e-9, 0), vector(0, 0))).rejects.toThrow("gone");
    expect([...values]).toEqual([1, 1]);
  });
});

describe("lineSearch", () => {
  const search = async (isAccepted: (value: number) => boolean, options = {}) => {
    const space = new PlainSpace(1);
    const values = vector(0.1);
    const tried: number[] = [];
    const evaluate = async () => {
      tried.push(values[0] as number);
      return values[0] as number;
    };
    const outcome = await lineSearch(space, values, vector(1), evaluate, isAccepted, options);
    expect(space.live).toBe(0);
    return { outcome, tried, value: values[0] };
  };

  test("takes the first length that is accepted", async () => {
    const { outcome, tried, value } = await search((at) => at <= 0.75);
    expect(tried).toEqual([0.1 + 1, 0.1 + 0.8, 0.1 + 0.8 * 0.8]);
    expect(outcome).toEqual({ accepted: 0.1 + 0.8 * 0.8, backtracks: 2, fraction: 0.8 * 0.8 });
    expect(value).toBe(0.1 + 0.8 * 0.8);
  });

  test("puts the values back when every length is refused", async () => {
    const { outcome, tried, value } = await search(() => false, { backtrackIterations: 3, backtrackCoefficient: 0.5 });
    expect(tried).toEqual([1.1, 0.6, 0.35]);
    expect(outcome).toEqual({ accepted: undefined, backtracks: 3, fraction: 0 });
    expect(value).toBe(0.1);
  });

  test("puts the values back when the evaluation fails", async () => {
    const [space, values] = [new PlainSpace(1), vector(0.1)];
    const failing = async () => Promise.reject(new Error("lost"));
    await expect(lineSearch(space, values, vector(1), failing, () => true)).rejects.toThrow("lost");
    expect([space.live, values[0]]).toEqual([0, 0.1]);
  });
});
