/** The KL reward and its controllers: worked arithmetic, TRL's own numbers, and laws. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/rl/ppo.json";
import { adaptPenalty, adaptReferenceKl } from "../src/rl/kl-controllers";
import { type KlEstimator, sumRows, tokenKl } from "../src/rl/kl-reward";
import type { Rollout } from "../src/rl/rollout";

/** A rollout of which only the mask and the rows matter. */
function rows(masks: readonly (readonly number[])[]): Rollout {
  const mask = Uint8Array.from(masks.flat());
  return {
    tokens: new Uint32Array(mask.length),
    offsets: Uint32Array.from([0, ...masks.map((_, s) => masks.slice(0, s + 1).flat().length)]),
    completionStarts: new Uint32Array(masks.length),
    mask,
    samplerLogps: new Float32Array(mask.length),
    ends: masks.map(() => "stop" as const),
  };
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
    expect(tokenKl(rows([[1]]), [a - 1], [-1], estimator)[0]).toBeCloseTo(value, 12);
  });

  // biome-ignore lint/suspicious/noExplicitAny: goldens are JSON with a different shape per case
  const cases = (golden.cases as any[]).filter(({ params }) => params.kl_estimator && !params.whiten_rewards);
  test.each(cases.map((c) => [c.name, c]))("is TRL's, before the score: %s", (_, { params, inputs, expect: expected }) => {
    const { last_index: last, old_logps: logps, ref_logps: refLogps } = inputs;
    const width = logps[0].length;
    const rollout = rows(logps.map((_: number[], s: number) => Array.from({ length: width }, (_, t) => (t <= last[s] ? 1 : 0))));
    const kl = tokenKl(rollout, logps.flat(), refLogps.flat(), params.kl_estimator as KlEstimator);
    expected.rewards.forEach((row: number[], s: number) => {
      row.forEach((reward, t) => {
        const isScored = t === Math.min(last[s] + 1, width - 1);
        const scored = (isScored ? inputs.scores[s] : 0) - params.kl_coef * (kl[s * width + t] as number);
        expect(scored).toBeCloseTo(reward, 9);
      });
    });
  });

  test("tokens that do not count cost nothing, whatever they hold", () => {
    const rollout = rows([[0, 1, 0], [1]]);
    const kl = tokenKl(rollout, [Number.NaN, -1, Number.NaN, -2], [Number.NaN, -1.5, 0, -1], "k1");
    expect([...kl]).toEqual([0, 0.5, 0, -1]);
    expect([...sumRows(rollout, [7, 0.5, Number.NaN, -1])]).toEqual([0.5, -1]);
  });
});

describe("the controller of the KL to the reference", () => {
  test("moves as lm-human-preferences does (rl-algorithms.md, appendix B)", () => {
    expect(adaptReferenceKl(0.15, 9, 512, { target: 6, horizon: 10_000 })).toBeCloseTo(0.151536, 12);
    expect(adaptReferenceKl(0.15, 5.4, 1000, { target: 6, horizon: 10_000 })).toBeCloseTo(0.15 * 0.99, 12);
  });

  test("up above the target, down below it, never past a fifth per horizon", () => {
    fc.assert(
      fc.property(fc.double({ min: -5, max: 50, noNaN: true }), fc.integer({ min: 1, max: 10_000 }), (kl, episodes) => {
        const next = adaptReferenceKl(1, kl, episodes, { target: 6, horizon: 10_000 });
        expect(Math.sign(next - 1)).toBe(Math.sign(kl - 6));
        expect(Math.abs(next - 1)).toBeLessThanOrEqual(0.2 + 1e-12);
      }),
    );
  });
});

test("the penalty's β halves below two thirds of its target, doubles above three halves, and rests between", () => {
  expect([0.001, 0.0066, 0.0067, 0.01, 0.015, 0.0151, 1].map((kl) => adaptPenalty(3, kl, 0.01))).toEqual([1.5, 1.5, 3, 3, 3, 6, 6]);
});
