/** Agreement of raters against worked and published figures, and its laws. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cohenKappa, type Judgement, krippendorffAlpha, percentAgreement } from "../src/data/agreement";

const none = null;

/** Krippendorff's example with four observers, twelve units and missing values: nominal 0.743, ordinal 0.815 ("Computing Krippendorff's Alpha-Reliability"). */
const published = [
  [1, 1, none, 1],
  [2, 2, 3, 2],
  [3, 3, 3, 3],
  [3, 3, 3, 3],
  [2, 2, 2, 2],
  [1, 2, 3, 4],
  [4, 4, 4, 4],
  [1, 1, 2, 1],
  [2, 2, 2, 2],
  [none, 5, 5, 5],
  [none, none, 1, 1],
  [none, none, 3, none],
];

/** `times` judgements of each pair of values. */
const judged = (...cells: [Judgement, Judgement, number][]) => {
  const pairs = cells.flatMap(([a, b, times]) => Array.from({ length: times }, () => [a, b] as const));
  return [pairs.map(([a]) => a), pairs.map(([, b]) => b)] as const;
};

describe("agreement", () => {
  test("Krippendorff's published figures", () => {
    expect(krippendorffAlpha(published, "nominal")).toBeCloseTo(0.743, 3);
    expect(krippendorffAlpha(published, "ordinal")).toBeCloseTo(0.815, 3);
  });

  test("Cohen's kappa, worked: 35 of 50 agree, 25 would by chance", () => {
    const [a, b] = judged(["yes", "yes", 20], ["yes", "no", 5], ["no", "yes", 10], ["no", "no", 15]);
    expect(cohenKappa(a, b)).toBeCloseTo(0.4, 12);
    expect(percentAgreement(a.map((value, i) => [value, b[i]]))).toBeCloseTo(0.7, 12);
  });

  test("weighted kappa, worked: marks 1, 2, 3 against 1, 3, 3", () => {
    // Observed cost 1/3 either way. Expected, over the nine pairs: linear (0+2+2 + 1+1+1 + 2+0+0)/9 = 1, quadratic (0+4+4 + 1+1+1 + 4)/9 = 15/9.
    expect(cohenKappa([1, 2, 3], [1, 3, 3], { weights: "linear" })).toBeCloseTo(1 - 1 / 3, 12);
    expect(cohenKappa([1, 2, 3], [1, 3, 3], { weights: "quadratic" })).toBeCloseTo(1 - 1 / 3 / (15 / 9), 12);
  });

  test("pairs of judgements are pooled over units", () => {
    // 1 of 3 pairs, 1 of 1, none of 0.
    expect(percentAgreement([["a", "a", "b"], ["b", none, "b"], ["a"]])).toBeCloseTo(2 / 4, 12);
    expect(percentAgreement([["a"], [none, "b"]])).toBeNaN();
  });

  test("what cannot be computed is NaN or an error", () => {
    expect(cohenKappa(["a", "a"], ["a", "a"])).toBeNaN();
    expect(krippendorffAlpha([["a", "a"]], "nominal")).toBeNaN();
    expect(() => cohenKappa(["a"], ["a", "b"])).toThrow("same units");
    expect(() => cohenKappa([], [])).toThrow("same units");
    expect(() => cohenKappa(["a", "b"], ["a", "b"], { weights: "linear" })).toThrow("need numbers");
    expect(() => krippendorffAlpha([["a", "b"]], "ordinal")).toThrow("must be numbers");
  });

  const table = fc.array(fc.array(fc.option(fc.integer({ min: 1, max: 4 })), { minLength: 2, maxLength: 4 }), {
    minLength: 2,
    maxLength: 8,
  });

  test("laws: at most 1, equal judgements give 1, raters and the names of values do not matter", () => {
    fc.assert(
      fc.property(table, (units) => {
        for (const level of ["nominal", "ordinal"] as const) {
          const alpha = krippendorffAlpha(units, level);
          expect(alpha <= 1 + 1e-12 || Number.isNaN(alpha)).toBe(true);
          const reversed = krippendorffAlpha(
            units.map((unit) => [...unit].reverse()),
            level,
          );
          expect(Number.isNaN(alpha) ? Number.isNaN(reversed) : Math.abs(alpha - reversed) < 1e-9).toBe(true);
          // Only the order of marks counts.
          const renamed = krippendorffAlpha(
            units.map((unit) => unit.map((value) => value && value ** 3 - 5)),
            level,
          );
          expect(Number.isNaN(alpha) ? Number.isNaN(renamed) : Math.abs(alpha - renamed) < 1e-9).toBe(true);
        }
        const share = percentAgreement(units);
        expect(Number.isNaN(share) || (share >= 0 && share <= 1)).toBe(true);
      }),
      { seed: 3, numRuns: 200 },
    );
    expect(
      krippendorffAlpha(
        [
          [1, 1],
          [2, 2],
          [4, 4, 4],
        ],
        "ordinal",
      ),
    ).toBe(1);
    expect(cohenKappa([1, 2, 2], [1, 2, 2])).toBe(1);
  });

  test("two raters, two values, many units: alpha and kappa come together when the raters' shares are equal", () => {
    const [a, b] = judged([0, 0, 400], [0, 1, 100], [1, 0, 100], [1, 1, 400]);
    const alpha = krippendorffAlpha(
      a.map((value, i) => [value, b[i]]),
      "nominal",
    );
    expect(cohenKappa(a, b)).toBeCloseTo(0.6, 12);
    expect(alpha).toBeCloseTo(0.6, 3);
  });
});
