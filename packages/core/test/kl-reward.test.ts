/** The KL reward and its controllers: worked arithmetic, TRL's own numbers, and laws. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/rl/ppo.json";
import type { KlEstimator } from "../src/losses/policy/kl";
import { nextKlCoef, nextPenaltyBeta } from "../src/rl/kl-controllers";
import { klEstimators, shapeScores, tokenRewards } from "../src/rl/kl-reward";

/** Rows of equal masks laid end to end. */
function rows(masks: readonly (readonly number[])[]): { mask: number[]; offsets: number[] } {
  return { mask: masks.flat(), offsets: [0, ...masks.map((_, s) => masks.slice(0, s + 1).flat().length)] };
}

describe("the KL reward", () => {
  test.each([
    ["k1", 0.5, 0.5],
    ["k2", 0.5, 0.125],
    ["k3", 0.5, 0.10653065971263342],
    ["abs", 0.5, 0.5],
    ["k1", -0.5, -0.5],
    ["k2", -0.5, 0.125],
    ["k3", -0.5, 0.14872127070012819],
    ["abs", -0.5, 0.5],
  ] as const)("%s of a log-ratio of %d is %d", (estimator, a, value) => {
    expect(klEstimators[estimator](a)).toBeCloseTo(value, 12);
  });

  // biome-ignore lint/suspicious/noExplicitAny: goldens are JSON with a different shape per case
  const cases = (golden.cases as any[]).filter(({ params }) => params.kl_estimator && !params.whiten_rewards);
  test.each(cases.map((c) => [c.name, c]))("and the score are TRL's: %s", (_, { params, inputs, expect: expected }) => {
    const { last_index: last, old_logps: logps, ref_logps: refLogps, scores } = inputs;
    const width = logps[0].length;
    const masks = logps.map((_: number[], s: number) => Array.from({ length: width }, (_, t) => (t <= last[s] ? 1 : 0)));
    const { rewards } = tokenRewards(
      { scores, logps: logps.flat(), refLogps: refLogps.flat(), ...rows(masks) },
      { klCoef: params.kl_coef, klEstimator: params.kl_estimator as KlEstimator, scorePlacement: "trl" },
    );
    expected.rewards.flat().forEach((reward: number, n: number) => {
      expect(rewards[n]).toBeCloseTo(reward, 9);
    });
  });

  test("tokens that do not count cost nothing, whatever they hold; a row without a score has its KL", () => {
    const logps = [Number.NaN, -1, Number.NaN, -2];
    const refLogps = [Number.NaN, -1.5, 0, -1];
    const { rewards, kl } = tokenRewards({ scores: [3, Number.NaN], logps, refLogps, ...rows([[0, 1, 0], [1]]) }, { klCoef: 0.1 });
    expect([...rewards]).toEqual([0, 3 - 0.05, 0, 0.1]);
    expect([...kl]).toEqual([0.5, -1]);
  });

  test("scores are clipped, and then less the penalty of a completion that did not end", () => {
    const scores = shapeScores([5, -5, 1, Number.NaN], [true, false, false, true], { clipRange: [-2, 2], missingEosPenalty: 1 });
    expect([...scores]).toEqual([2, -3, 0, Number.NaN]);
  });
});

describe("the controller of the KL to the reference", () => {
  const next = (klCoef: number, kl: number, episodes: number) =>
    nextKlCoef(klCoef, { kl, episodes }, { kind: "adaptive", target: 6, horizon: 10_000 });

  test("moves as lm-human-preferences does (rl-algorithms.md, appendix B)", () => {
    expect(next(0.15, 9, 512)).toBeCloseTo(0.151536, 12);
    expect(next(0.15, 5.4, 1000)).toBeCloseTo(0.15 * 0.99, 12);
  });

  test("up above the target, down below it, never past a fifth per horizon", () => {
    fc.assert(
      fc.property(fc.double({ min: -5, max: 50, noNaN: true }), fc.integer({ min: 1, max: 10_000 }), (kl, episodes) => {
        const coefficient = next(1, kl, episodes);
        expect(Math.sign(coefficient - 1)).toBe(Math.sign(kl - 6));
        expect(Math.abs(coefficient - 1)).toBeLessThanOrEqual(0.2 + 1e-12);
      }),
    );
  });
});

test("the penalty's β halves below two thirds of its target, doubles above three halves, and rests between", () => {
  expect([0.001, 0.0066, 0.0067, 0.01, 0.015, 0.0151, 1].map((kl) => nextPenaltyBeta(3, kl, 0.01))).toEqual([1.5, 1.5, 3, 3, 3, 6, 6]);
});
