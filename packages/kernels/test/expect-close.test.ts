/** The comparison itself: what it accepts, what it refuses, and what it says. */
import { describe, expect, it } from "vitest";
import { expectClose, LOOSEST, MismatchError, ToleranceError } from "../conformance/index";

const NEVER = Number.NaN;

describe("expectClose", () => {
  it("returns the worst error as a fraction of what is allowed", () => {
    expect(expectClose([1, 2], [1, 2])).toBe(0);
    expect(expectClose([1 + 5e-6], [1], { rtol: 1e-5, atol: 0, scale: "element" })).toBeCloseTo(0.5, 6);
    expect(expectClose([], [])).toBe(0);
  });

  it("reports how many differ, the worst index and both values", () => {
    expect(() => expectClose([1, 2.5, 3, 4.1], [1, 2, 3, 4], { label: "y", scale: "element" })).toThrow(
      /^y: 2 of 4 elements differ; the worst is \[1\]: must be 2, got 2\.5, 2\.38e\+4 times the allowed error \(rtol 0\.00001, atol 0\.000001, scale element\)\.$/,
    );
    expect(() => expectClose([1], [2])).toThrow(MismatchError);
  });

  it("refuses a tolerance that accepts anything", () => {
    for (const loose of [
      { rtol: 1.1e-2 },
      { atol: 1.1e-2 },
      { rtol: 1e6 },
      { rtol: Number.POSITIVE_INFINITY },
      { atol: NEVER },
      { rtol: -1 },
    ]) {
      expect(() => expectClose([1], [1], loose)).toThrow(ToleranceError);
    }
    expect(expectClose([1.005], [1], { rtol: LOOSEST, atol: 0 })).toBeCloseTo(0.5, 6);
  });

  it("refuses different lengths", () => {
    expect(() => expectClose([1, 2], [1])).toThrow("expectClose: must hold 1 elements, got 2.");
  });

  it("takes NaN for NaN only, an infinity for the same infinity only", () => {
    const infinity = Number.POSITIVE_INFINITY;
    expect(expectClose([NEVER, infinity, -infinity], [NEVER, infinity, -infinity])).toBe(0);
    expect(() => expectClose([NEVER], [1])).toThrow(MismatchError);
    expect(() => expectClose([1], [NEVER])).toThrow(MismatchError);
    expect(() => expectClose([infinity], [-infinity])).toThrow(MismatchError);
    expect(() => expectClose([infinity], [1e30])).toThrow(MismatchError);
    expect(() => expectClose([1e30], [infinity])).toThrow(MismatchError);
    expect(() => expectClose([NEVER], [infinity])).toThrow(MismatchError);
  });

  it("takes -0 for 0", () => {
    expect(expectClose([-0], [0], { rtol: 0, atol: 0 })).toBe(0);
  });

  it("measures by element, by row or by array", () => {
    const expected = [1000, 1000, 0.001, 0.001];
    const actual = [1000, 1000, 0.001, 0.002];
    expect(() => expectClose(actual, expected, { scale: "element" })).toThrow(/\[3\]/);
    expect(() => expectClose(actual, expected, { scale: "row", rowLength: 2 })).toThrow(/\[3\]/);
    expect(expectClose(actual, expected, { scale: "array" })).toBeGreaterThan(0.1);
    expect(expectClose(actual, expected, { scale: "row" })).toBeGreaterThan(0.1);
  });

  it("does not let an infinity or a NaN widen its row", () => {
    expect(() => expectClose([Number.POSITIVE_INFINITY, 1.1], [Number.POSITIVE_INFINITY, 1])).toThrow(MismatchError);
    expect(() => expectClose([NEVER, 1.1], [NEVER, 1])).toThrow(MismatchError);
  });
});
