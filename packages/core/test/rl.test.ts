/** Rewards, metrics and statistics by worked examples. */
import { ArgumentError } from "@trimtab/kernels";
import { describe, expect, test, vi } from "vitest";
import { RewardError } from "../src/errors";
import { completionMetrics, rewardMetrics } from "../src/rl/metrics";
import { policyMetrics } from "../src/rl/policy-metrics";
import { type RewardFunction, scoreCompletions } from "../src/rl/rewards";
import { buildRollout, gatherCounting, scatterCounting } from "../src/rl/rollout";
import { distinctN, pairedBootstrap } from "../src/rl/statistics";

const batch = {
  prompts: ["p", "p", "q", "q"],
  completions: ["a", "bb", "ccc", "dddd"],
  completionIds: [1, 2, 3, 4].map((n) => new Uint32Array(n)),
  columns: { answer: [1, 1, 2, 2] },
  trainerState: { globalStep: 3, maxSteps: 10, epoch: 0.5 },
};

const length: RewardFunction = ({ completions }) => completions.map((c) => c.length);
const even: RewardFunction = async ({ completions }) => completions.map((c) => (c.length % 2 === 0 ? 1 : null));

describe("scoreCompletions", () => {
  test("weights, nulls, columns, extras and metrics", async () => {
    const logging: RewardFunction = ({ logExtra, logMetric, answer, trainerState }) => {
      logExtra("answer", answer as number[]);
      logMetric("custom", 2);
      logMetric("custom", 4);
      return (answer as number[]).map((a) => a + trainerState.globalStep);
    };
    const scored = await scoreCompletions(batch, { functions: [length, even, logging], weights: [1, 10, 0] });
    expect([...scored.rewards]).toEqual([1, 12, 3, 14]);
    expect(Object.fromEntries(scored.byName)).toEqual({ length: [1, 2, 3, 4], even: [null, 1, null, 1], logging: [4, 4, 5, 5] });
    expect(scored.extras).toEqual({ answer: [1, 1, 2, 2] });
    expect(scored.metrics).toEqual({ custom: 3 });
    expect([...(await scoreCompletions(batch, { functions: [even] })).rewards]).toEqual([Number.NaN, 1, Number.NaN, 1]);
  });

  test("async functions run at the same time", async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const waits: RewardFunction = async (args) => {
      await gate;
      return length(args);
    };
    const opens: RewardFunction = async (args) => {
      release();
      return length(args);
    };
    expect([...(await scoreCompletions(batch, { functions: [waits, opens] })).rewards]).toEqual([2, 4, 6, 8]);
  });

  test("the signal aborts when time is up, and a late failure is nobody's", async () => {
    const seen: boolean[] = [];
    const slow: RewardFunction = ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          seen.push(signal.aborted);
          reject(new Error("too late"));
        });
      });
    await expect(scoreCompletions(batch, { functions: [slow], timeoutMs: 20 })).rejects.toThrow(/`slow`.*within 20 ms/);
    expect(seen).toEqual([true]);
  });

  test("no timer outlives its call", async () => {
    vi.useFakeTimers();
    try {
      await scoreCompletions(batch, { functions: [length, even], timeoutMs: 1000 });
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test("a column of the wrong length is a RewardError", async () => {
    const bad: RewardFunction = (args) => {
      args.logExtra("x", [1]);
      return length(args);
    };
    await expect(scoreCompletions(batch, { functions: [bad] })).rejects.toBeInstanceOf(RewardError);
  });
});

const rollout = buildRollout(
  [
    { promptTokens: Uint32Array.of(7, 8), tokens: Uint32Array.of(1, 0), logps: Float32Array.of(-1, -2), finishReason: "stop" },
    { promptTokens: Uint32Array.of(9), tokens: Uint32Array.of(2, 3, 4), logps: Float32Array.of(-3, -4, -5), finishReason: "length" },
  ],
  false,
);

describe("rollout", () => {
  test("is flat, and values go to counting tokens and back", () => {
    expect([...rollout.tokens]).toEqual([7, 8, 1, 0, 9, 2, 3, 4]);
    expect([...rollout.mask]).toEqual([0, 0, 1, 1, 0, 1, 1, 1]);
    expect([[...rollout.offsets], [...rollout.completionStarts]]).toEqual([
      [0, 4, 8],
      [2, 5],
    ]);
    expect([...gatherCounting(rollout, [1, 0], rollout.samplerLogps)]).toEqual([-3, -4, -5, -1, -2]);
    const values = new Float32Array(8);
    scatterCounting(rollout, [1, 0], [-3, -4, -5, -1, -2], values);
    expect(values).toEqual(rollout.samplerLogps);
  });

  test("lengths", () => {
    expect(completionMetrics(rollout)).toEqual({
      "completions/mean_length": 2.5,
      "completions/min_length": 2,
      "completions/max_length": 3,
      "completions/mean_terminated_length": 2,
      "completions/min_terminated_length": 2,
      "completions/max_terminated_length": 2,
      "completions/clipped_ratio": 0.5,
    });
  });
});

describe("metrics", () => {
  test("rewards, their spread within groups, and groups without any", async () => {
    const scored = await scoreCompletions(batch, { functions: [({ completions }) => completions.map((c, i) => (i < 2 ? 1 : c.length))] });
    const metrics = rewardMetrics(scored, 2, "group");
    expect(metrics).toMatchObject({ reward: 2.25, frac_reward_zero_std: 0.5, "rewards/reward_0/mean": 2.25 });
    expect(metrics.reward_std).toBeCloseTo(Math.SQRT1_2 / 2, 12);
    expect(rewardMetrics(scored, 2, "batch").reward_std).toBeCloseTo(1.5, 12);
  });

  test("clipping is counted per token or per completion", () => {
    const rows = [
      { logps: [0, 0], oldLogps: [-1, 0], samplerLogps: [-1, 0.5], advantages: [1, 1] },
      { logps: [-2], oldLogps: [0], samplerLogps: [0], advantages: [-1] },
      { logps: [1], oldLogps: [0], samplerLogps: [0], advantages: [-1] },
    ];
    const options = { epsilonLow: 0.2, epsilonHigh: 0.2, measure: "ratio" as const };
    expect(policyMetrics(rows, { ...options, level: "token" })).toMatchObject({
      "clip_ratio/high_mean": 1 / 4,
      "clip_ratio/high_max": 1 / 2,
      "clip_ratio/low_mean": 1 / 4,
      "clip_ratio/low_min": 0,
      "clip_ratio/region_mean": 1 / 2,
      "sampling/sampling_logp_difference/mean": 0.125,
      "sampling/sampling_logp_difference/max": 0.5,
      "sampling/importance_sampling_ratio/min": Math.exp(-0.5),
    });
    expect(policyMetrics(rows, { ...options, level: "sequence" })).toMatchObject({
      "clip_ratio/high_mean": 1 / 3,
      "clip_ratio/high_max": 1,
    });
    expect(policyMetrics([], { ...options, level: "token" })).toEqual({});
  });
});

describe("statistics", () => {
  test("the paired bootstrap finds a shift that is smaller than the spread, and no shift where there is none", () => {
    const before = Array.from({ length: 64 }, (_, i) => (i * 29) % 64);
    const noise = Array.from({ length: 64 }, (_, i) => ((i * 13) % 7) - 3);
    const shifted = pairedBootstrap(
      before,
      before.map((b, i) => b + 2 + (noise[i] as number)),
      { resamples: 2000 },
    );
    expect(shifted.low).toBeGreaterThan(1);
    expect(shifted.high).toBeLessThan(3);
    expect(shifted.mean).toBeCloseTo(shifted.meanAfter - shifted.meanBefore, 12);
    expect(shifted.stdBefore).toBeCloseTo(18.618986, 5);
    const still = pairedBootstrap(
      before,
      before.map((b, i) => b + (noise[i] as number)),
      { resamples: 2000 },
    );
    expect(still.low * still.high).toBeLessThan(0);
    expect(pairedBootstrap(before, noise, { resamples: 500, seed: 3 })).toEqual(
      pairedBootstrap(before, noise, { resamples: 500, seed: 3 }),
    );
    expect(() => pairedBootstrap([1], [2])).toThrow(ArgumentError);
    expect(() => pairedBootstrap([1, 2], [2])).toThrow(ArgumentError);
  });

  test("its interval covers the mean about as often as it says", () => {
    let covered = 0;
    for (let trial = 0; trial < 100; trial++) {
      const sample = Array.from({ length: 40 }, (_, i) => Math.sin(1000 * Math.sin(trial * 40 + i + 1)));
      const { low, high } = pairedBootstrap(new Array(40).fill(0), sample, { resamples: 300, seed: trial, confidence: 0.9 });
      if (low <= 0 && high >= 0) covered++;
    }
    expect(covered).toBeGreaterThan(78);
    expect(covered).toBeLessThan(99);
  });

  test("distinct n-grams", () => {
    expect(
      distinctN(
        [
          ["a", "b", "a"],
          ["a", "b"],
        ],
        1,
      ),
    ).toBe(2 / 5);
    expect(
      distinctN(
        [
          ["a", "b", "a"],
          ["a", "b"],
        ],
        2,
      ),
    ).toBe(2 / 3);
    expect(distinctN([[1]], 2)).toBe(0);
  });
});
