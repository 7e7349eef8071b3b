/** Rewards per token and the controllers of penalties: the page's worked example, and laws. */
import { ArgumentError, gae, whiten } from "@trimtab/kernels";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { entropyCoefOf, nextEntropyControl, nextKlCoef, nextPenaltyBeta } from "../src/rl/kl-controllers";
import { shapeScores, tokenRewards } from "../src/rl/kl-reward";

const expectNear = (got: ArrayLike<number>, wanted: readonly number[], tolerance = 1e-12) => {
  expect(got.length).toBe(wanted.length);
  wanted.forEach((value, i) => {
    expect(Math.abs((got[i] as number) - value), `${i}: ${got[i]} against ${value}`).toBeLessThanOrEqual(tolerance);
  });
};

/** rl-algorithms.md, appendix B: PPO-RLHF rollout as lm-human-preferences computes it. */
const rollout = {
  scores: [1, -0.5],
  logps: [-1, -0.5, -2, -0.1, -0.3, -1.2, -0.7, -0.9],
  refLogps: [-1.1, -0.7, -1.5, -0.2, -0.4, -1, -0.9, -0.8],
  offsets: [0, 4, 8],
  mask: new Array<number>(8).fill(1),
};
const values = [0.1, 0.2, 0.3, 0.4, 0, -0.1, 0.2, 0.1];

describe("rewards per token", () => {
  const { rewards, kl } = tokenRewards(rollout, { klCoef: 0.2 });

  test("the page's example: KL at every token, the score at the last", () => {
    expectNear(rewards, [-0.02, -0.04, 0.1, 0.98, -0.02, 0.04, -0.04, -0.48]);
    expectNear(kl, [0.1 + 0.2 - 0.5 + 0.1, 0.1 - 0.2 + 0.2 - 0.1]);
    const { advantages, returns } = gae({ rewards, values, offsets: rollout.offsets });
    expectNear(advantages, [0.8147775, 0.77345, 0.751, 0.58, -0.4206275, -0.31645, -0.691, -0.58]);
    expectNear(returns, [0.9147775, 0.97345, 1.051, 0.98, -0.4206275, -0.41645, -0.491, -0.48]);
    const whitened = [-0.157018395, -0.209258018, 0.156419339, 2.454962727, -0.157018395, -0.000299529, -0.209258018, -1.358529711];
    expectNear(whiten(rewards, { shiftMean: false, variance: "population" }), whitened, 1e-9);
  });

  test("other estimators", () => {
    const first = (klEstimator: "k2" | "k3" | "abs") => tokenRewards(rollout, { klCoef: 1, klEstimator }).rewards[2] as number;
    expect(first("abs")).toBe(-0.5);
    expect(first("k2")).toBeCloseTo(-0.125, 12);
    expect(first("k3")).toBeCloseTo(-(Math.exp(0.5) - 1.5), 12);
  });

  test("masked tokens cannot matter, and the score stands at the last token of the policy or after it", () => {
    const masked = {
      ...rollout,
      mask: [1, 1, 0, 0, 1, 1, 1, 1],
      logps: rollout.logps.map((x, i) => (i === 2 || i === 3 ? Number.NaN : x)),
    };
    const last = tokenRewards(masked, { klCoef: 0.2 }).rewards;
    expectNear(last.subarray(0, 4), [-0.02, -0.04 + 1, 0, 0]);
    const trl = tokenRewards(masked, { klCoef: 0.2, scorePlacement: "trl" }).rewards;
    expectNear(trl.subarray(0, 4), [-0.02, -0.04, 1, 0]);
    // A row that ends with an action has no place after it.
    expectNear(trl.subarray(4), [...rewards.subarray(4)]);
  });

  test("no score leaves the KL; no token earns nothing; offsets of another rollout are refused", () => {
    const none = tokenRewards({ ...rollout, scores: [Number.NaN, 3], mask: [1, 1, 1, 1, 0, 0, 0, 0] }, { klCoef: 0.2 });
    expectNear(none.rewards, [-0.02, -0.04, 0.1, -0.02, 0, 0, 0, 0]);
    expect(none.kl[1]).toBe(0);
    expect(() => tokenRewards({ ...rollout, offsets: [0, 4] }, { klCoef: 0 })).toThrow(ArgumentError);
  });

  test("the sum of a row is its score less the price of its KL", () => {
    const number = fc.double({ min: -3, max: 3, noNaN: true });
    const row = fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(row, number, fc.double({ min: 0, max: 2, noNaN: true }), (tokens, score, klCoef) => {
        const [logps, refLogps] = [tokens.map(([a]) => a), tokens.map(([, b]) => b)];
        const inputs = { scores: [score], logps, refLogps, offsets: [0, tokens.length], mask: tokens.map(() => 1) };
        const { rewards, kl } = tokenRewards(inputs, { klCoef });
        const sum = rewards.reduce((a, b) => a + b, 0);
        expect(sum).toBeCloseTo(score - klCoef * tokens.reduce((a, [l, r]) => a + l - r, 0), 9);
        expect(sum).toBeCloseTo(score - klCoef * (kl[0] as number), 9);
      }),
    );
  });
});

test("scores: clipped, then the penalty for not having ended", () => {
  const scores = shapeScores([12, -12, 3, Number.NaN], [true, true, false, false], { clipRange: [-10, 10], missingEosPenalty: 1 });
  expect([...scores]).toEqual([10, -10, 2, Number.NaN]);
  expect([...shapeScores([12, 3], [false, true], {})]).toEqual([12, 3]);
});

describe("controllers", () => {
  test("the KL to the reference: the page's example, and its bounds", () => {
    const control = { kind: "adaptive", target: 6, horizon: 10_000 } as const;
    expect(nextKlCoef(0.15, { kl: 9, episodes: 512 }, control)).toBeCloseTo(0.151536, 12);
    expect(nextKlCoef(0.15, { kl: 6.3, episodes: 512 }, control)).toBeCloseTo(0.15 * (1 + (0.05 * 512) / 10_000), 12);
    expect(nextKlCoef(0.15, { kl: 0, episodes: 512 }, control)).toBeCloseTo(0.15 * (1 - (0.2 * 512) / 10_000), 12);
    expect(nextKlCoef(0.15, { kl: 9, episodes: 512 }, { kind: "fixed" })).toBe(0.15);
  });

  test("PPO-penalty: halved below, doubled above, kept between", () => {
    expect([0.006, 0.0067, 0.014, 0.0151].map((kl) => nextPenaltyBeta(1, kl, 0.01))).toEqual([0.5, 1, 1, 2]);
  });

  test("the entropy bonus: only below the target, one step a time, within its bounds", () => {
    const options = { target: 0.5, delta: 0.1, min: 0, max: 0.25 };
    let control = { coef: 0.05, entropy: null as number | null };
    expect(entropyCoefOf(control, options)).toBe(0.05);
    const seen: number[] = [];
    for (const entropy of [0.4, 0.4, 0.4, 0.6, 0.6, 0.6, 0.6, 0.5]) {
      control = nextEntropyControl(control, entropy, options);
      seen.push(Number(control.coef.toFixed(9)), Number(entropyCoefOf(control, options).toFixed(9)));
    }
    expect(seen).toEqual([0.15, 0.15, 0.25, 0.25, 0.25, 0.25, 0.15, 0, 0.05, 0, 0, 0, 0, 0, 0.1, 0.1]);
    expect(JSON.parse(JSON.stringify(control))).toEqual(control);
  });
});
