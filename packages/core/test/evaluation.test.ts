/** Evaluation: estimators by worked arithmetic and by their laws, and a whole evaluation against what it was made from. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../src/errors";
import { compareEvaluations, evaluatePolicy } from "../src/evaluation/evaluate-policy";
import { frontierOfLog, rewardKlFrontier } from "../src/evaluation/frontier";
import { bootstrapMean, wilsonInterval } from "../src/evaluation/intervals";
import { passAtK } from "../src/evaluation/pass-at-k";
import { pairedCompletions, winRate, winRateOf } from "../src/evaluation/win-rate";
import { pairwiseJudge } from "../src/judges/function-judge";
import type { RewardFunction } from "../src/rl/rewards";
import { tinyModel } from "./trainer-model";

describe("pass@k", () => {
  test("by counting", () => {
    // Of the 10 pairs of 5 samples, 3 have none of the 2 right ones: C(3,2) / C(5,2).
    expect(passAtK(5, 2, 2)).toBeCloseTo(1 - 3 / 10, 12);
    expect(passAtK(4, 1, 3)).toBeCloseTo(3 / 4, 12);
    expect([passAtK(5, 0, 5), passAtK(5, 1, 5), passAtK(5, 5, 1)]).toEqual([0, 1, 1]);
    expect(() => passAtK(3, 1, 4)).toThrow(/1 ≤ k ≤ n/);
  });

  test("is the accuracy at k = 1, and rises with k and with c", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.nat(), fc.nat(), (n, rawC, rawK) => {
        const [c, k] = [rawC % (n + 1), 1 + (rawK % n)];
        expect(passAtK(n, c, 1)).toBeCloseTo(c / n, 10);
        if (k < n) expect(passAtK(n, c, k + 1)).toBeGreaterThanOrEqual(passAtK(n, c, k) - 1e-12);
        if (c < n) expect(passAtK(n, c + 1, k)).toBeGreaterThanOrEqual(passAtK(n, c, k) - 1e-12);
      }),
    );
  });
});

test("Wilson's interval by hand, and at the ends", () => {
  // p = 0.8, n = 10: (0.8 + 0.19207) / 1.38415 ± 1.95996 sqrt(0.016 + 0.0096037) / 1.38415
  const { low, high } = wilsonInterval(0.8, 10);
  expect(low).toBeCloseTo(0.4902, 3);
  expect(high).toBeCloseTo(0.9433, 3);
  expect(wilsonInterval(1, 10).high).toBeCloseTo(1, 12);
  expect(wilsonInterval(1, 10).low).toBeGreaterThan(0.7);
  expect(bootstrapMean([3, 3, 3])).toEqual({ mean: 3, low: 3, high: 3 });
  expect(bootstrapMean([2])).toEqual({ mean: 2, low: 2, high: 2 });
});

describe("win rate", () => {
  const pairs = ["x", "yy", "zzz", "w"].map((a, i) => ({ prompt: `${i}`, a, b: ["xx", "yy", "z", "w"][i] as string }));

  test("a judge that only knows positions finds ties; a fair one is not changed by the order", async () => {
    const first = await winRate(
      pairwiseJudge("first", (asked) => asked.map(() => 1)),
      pairs,
    );
    expect(first).toMatchObject({ wins: 0, ties: 4, losses: 0, inconsistent: 1 });
    expect(first.rate.mean).toBe(0.5);
    const longer = pairwiseJudge("longer", (asked) => asked.map(({ a, b }) => (1 + Math.sign(a.length - b.length)) / 2));
    const fair = await winRate(longer, pairs);
    expect(fair).toMatchObject({ wins: 1, ties: 2, losses: 1, inconsistent: 0, unanswered: 0 });
    const itself = await winRate(
      longer,
      pairs.map((pair) => ({ ...pair, b: pair.a })),
    );
    expect(itself.rate.mean).toBe(0.5);
  });

  test("pairs without both answers count for nothing", () => {
    expect(winRateOf([1, null, 0.9], [0, 0, null])).toMatchObject({ wins: 1, ties: 0, losses: 0, unanswered: 2 });
    expect(() => winRateOf([null], [1])).toThrow(/at least one pair/);
  });
});

test("the frontier is what nothing beats", () => {
  const points = [
    { label: "a", kl: 0, reward: 1 },
    { label: "b", kl: 2, reward: 3 },
    { label: "c", kl: 2, reward: 2 },
    { label: "d", kl: 3, reward: 3 },
    { label: "e", kl: 1, reward: 1.5 },
  ];
  expect(rewardKlFrontier(points).map(({ label }) => label)).toEqual(["a", "e", "b"]);
  expect(
    frontierOfLog([
      { step: 1, reward: 2, kl: 0.5, "completions/mean_length": 4 },
      { step: 2, reward: 3 },
    ]),
  ).toEqual([{ label: "step 1", kl: 2, reward: 2 }]);
});

describe("evaluatePolicy", () => {
  const model = tinyModel(createReferenceDevice(), { initializerRange: 0.3 });
  const other = tinyModel(model.decoder.device, { initializerRange: 0.3, seed: 8 });
  const prompts = [
    { prompt: "ab", plus: 0 },
    { prompt: "hello", plus: 1 },
    { prompt: "x", plus: null },
  ];
  const low: RewardFunction = ({ completionIds, plus }) =>
    completionIds.map((ids, i) => ((plus as (number | null)[])[i] === null ? null : (ids[0] as number) % 2 === 0 ? 1 : 0));
  const options = { model, prompts, rewards: low, numGenerations: 4, maxCompletionLength: 6, passK: [1, 2, 4], seed: 5 };

  test("means are over prompts, and pass@1 is the mean of a binary reward", async () => {
    const result = await evaluatePolicy(options);
    const given = result.prompts.map(({ rewards }) => rewards);
    expect(given.map((rewards) => rewards.length)).toEqual([4, 4, 4]);
    expect(given[2]).toEqual([null, null, null, null]);
    const means = given.slice(0, 2).map((rewards) => (rewards as number[]).reduce((a, b) => a + b, 0) / 4);
    expect(result.reward?.mean).toBeCloseTo(((means[0] as number) + (means[1] as number)) / 2, 12);
    expect(result.rewardsByName.low).toEqual(result.reward);
    expect(result.passAtK[1]?.mean).toBeCloseTo(result.reward?.mean as number, 12);
    expect(result.passAtK[4]?.mean as number).toBeGreaterThanOrEqual(result.passAtK[2]?.mean as number);
    expect(result.kl).toBeUndefined();
    expect(result.length.mean).toBeLessThanOrEqual(6);
    expect(await evaluatePolicy(options)).toEqual(result);
    const { rewards: _, passK: __, ...plain } = options;
    expect(await evaluatePolicy(plain)).toMatchObject({ reward: undefined, passAtK: {}, completions: 12 });
    expect(compareEvaluations(result, result)).toMatchObject({ mean: 0, low: 0, high: 0 });
    const pairs = pairedCompletions(result, result);
    expect(pairs.map(({ prompt, a }) => [prompt, a])).toEqual(result.prompts.map(({ prompt, completions }) => [prompt, completions[0]]));
    const judge = pairwiseJudge("any", (asked) => asked.map(({ a, b }) => (a === b ? 0.7 : 0)));
    expect((await winRate(judge, pairs)).rate.mean).toBe(0.5);
  });

  test("the KL to itself is exactly 0; to another it is positive, and its estimators agree", async () => {
    const own = await evaluatePolicy({ ...options, reference: model });
    for (const interval of Object.values(own.kl ?? {})) expect(interval).toEqual({ mean: 0, low: 0, high: 0 });
    const away = await evaluatePolicy({ ...options, reference: other, numGenerations: 64, passK: [], temperature: 0.8 });
    const { k1, k3, exact } = away.kl as NonNullable<typeof away.kl>;
    expect(exact.mean).toBeGreaterThan(0.1);
    expect(k3.mean).toBeGreaterThan(0);
    // The three estimate one quantity; the exact one has the least noise.
    expect(Math.abs(k1.mean - exact.mean)).toBeLessThan(0.35 * exact.mean);
    expect(Math.abs(k3.mean - exact.mean)).toBeLessThan(0.35 * exact.mean);
  });

  test("bad options are listed at once", async () => {
    await expect(evaluatePolicy({ ...options, passK: [5], temperature: 0 })).rejects.toThrow(ConfigError);
    await expect(evaluatePolicy({ ...options, passK: [5], temperature: 0 })).rejects.toThrow(/temperature.*passK.*\(4\), got \[5\]/);
    const { decoder } = tinyModel(createReferenceDevice());
    await expect(evaluatePolicy({ ...options, reference: { decoder } })).rejects.toThrow(/`reference`.*the same device/);
    await expect(evaluatePolicy({ ...options, maxCompletionLength: 0 })).rejects.toThrow(/evaluatePolicy: `maxCompletionLength`/);
  });
});
