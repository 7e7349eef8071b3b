/** RLOO and the REINFORCE family: worked returns, learning, zero gradients, splits, resuming. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { describe, expect, test } from "vitest";
import type { TrainingState } from "../src/checkpoint/state";
import { ConfigError } from "../src/errors";
import type { RewardFunction } from "../src/rl/rewards";
import { buildRollout } from "../src/rl/rollout";
import { grpo } from "../src/trainers/grpo";
import { type ReinforceOptions, reinforce } from "../src/trainers/reinforce";
import { type AdvantageEstimator, advantageEstimators, reinforceAdvantages } from "../src/trainers/reinforce-advantages";
import { type RlooOptions, rloo } from "../src/trainers/rloo";
import type { RolloutOptions } from "../src/trainers/rollout-options";
import type { TrainingStep } from "../src/trainers/training-steps";
import { allOf, createRoundedDevice, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

const spread: RewardFunction = ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7);
const same: RewardFunction = ({ completions }) => completions.map(() => 1);
const low: RewardFunction = ({ completionIds }) => completionIds.map((ids) => ids.filter((id) => id < 40).length / ids.length);

const options = (extra: Partial<ReinforceOptions & RlooOptions> = {}): RolloutOptions & typeof extra => ({
  model: tinyModel(createReferenceDevice()),
  prompts: [{ prompt: "ab" }, { prompt: "hello" }, { prompt: "x" }],
  rewards: spread,
  learningRate: 0.01,
  lrSchedulerType: "constant",
  perDeviceTrainBatchSize: 8,
  numGenerations: 4,
  maxCompletionLength: 5,
  maxSteps: 2,
  ...extra,
});

type Run = (options: RolloutOptions) => AsyncIterable<TrainingStep>;
const estimators = Object.keys(advantageEstimators) as AdvantageEstimator[];
const variants: Record<string, { run: Run; extra: Partial<ReinforceOptions & RlooOptions> }> = {
  rloo: { run: rloo, extra: {} },
  ...Object.fromEntries(estimators.map((advantageEstimator) => [advantageEstimator, { run: reinforce, extra: { advantageEstimator } }])),
};

const movement = async (run: Run, extra: Partial<ReinforceOptions & RlooOptions>) => {
  // A large epsilon makes Adam's step all but proportional to the gradient.
  const given = options({ maxGradNorm: 0, adamEpsilon: 1, learningRate: 1, ...extra });
  const before = await weightsOf(given.model);
  const steps = await allOf(run(given));
  const after = await weightsOf(given.model);
  return {
    moved: after.map((flat, shard) => flat.map((value, i) => value - ((before[shard] as Float32Array)[i] as number))),
    metrics: steps.map((step) => step.metrics),
  };
};

describe("returns", () => {
  // Two completions of two and three tokens, the second's middle one chosen by a tool.
  const rollout = buildRollout(
    [
      { promptTokens: Uint32Array.of(1), tokens: Uint32Array.of(2, 3), logps: new Float32Array(2), finishReason: "stop" },
      {
        promptTokens: Uint32Array.of(1),
        tokens: Uint32Array.of(4, 5, 6),
        logps: new Float32Array(3),
        mask: Uint8Array.of(1, 0, 1),
        finishReason: "stop",
      },
    ],
    false,
  );
  const inputs = {
    rollout,
    tokenRewards: Float64Array.of(0, 1, 2, 0, -1, 0, 3),
    rewards: [3, 2],
    greedyRewards: [1],
    running: { mean: 0.5, count: 2 },
  };
  const settings = { numGenerations: 2, gamma: 0.5, credit: "reward_to_go" as const, baseline: "none" as const };
  const advantages = (extra: object) => [
    ...reinforceAdvantages(inputs, { ...settings, advantageEstimator: "reinforce", ...extra }).advantages,
  ];

  test("what is to come, or the whole; less nothing, the round's mean, or the mean before it", () => {
    expect(advantages({})).toEqual([0, 2, 2, 0, 0.5, 0, 3]);
    expect(advantages({ gamma: 1, baseline: "mean" })).toEqual([0, 3 - 2.5, 2 - 2.5, 0, 2 - 2.5, 0, 3 - 2.5]);
    expect(advantages({ credit: "total" })).toEqual([0, 3, 3, 0, 2, 0, 2]);
    expect(advantages({ credit: "total", baseline: "running_mean" })).toEqual([0, 2.5, 2.5, 0, 1.5, 0, 1.5]);
  });

  test("the running mean takes the round in after it was used", () => {
    const { running } = reinforceAdvantages(inputs, { ...settings, advantageEstimator: "reinforce" });
    expect(running).toEqual({ mean: (0.5 * 2 + 3 + 2) / 4, count: 4 });
    const none = reinforceAdvantages({ ...inputs, rewards: [Number.NaN, 2] }, { ...settings, advantageEstimator: "reinforce" });
    expect(none.running).toEqual({ mean: (0.5 * 2 + 2) / 3, count: 3 });
  });

  test("the relatives", () => {
    expect(advantages({ advantageEstimator: "remax" })).toEqual([0, 2, 2, 0, 1, 0, 1]);
    // Two counting tokens each: the weighted mean is the mean.
    expect(advantages({ advantageEstimator: "opo" })).toEqual([0, 0.5, 0.5, 0, -0.5, 0, -0.5]);
    expect(advantages({ advantageEstimator: "gpg" })).toEqual([0, 0.5, 0.5, 0, -0.5, 0, -0.5]);
    const deviation = Math.sqrt(1 / 3);
    const centred = advantages({ advantageEstimator: "reinforce_plus_plus_baseline" });
    [0, 0.5, 0.5, 0, -0.5, 0, -0.5].forEach((value, n) => {
      expect(centred[n]).toBeCloseTo(value / deviation, 6);
    });
    // Returns 2, 2, 0.5, 3: mean 1.875.
    const returns = [2, 2, 0.5, 3];
    const std = Math.sqrt(returns.reduce((sum, r) => sum + (r - 1.875) ** 2, 0) / 3);
    const plus = advantages({ advantageEstimator: "reinforce_plus_plus" }).filter((_, n) => rollout.mask[n]);
    returns.forEach((value, i) => {
      expect(plus[i]).toBeCloseTo((value - 1.875) / std, 6);
    });
  });
});

describe.each(Object.keys(variants))("%s", (name) => {
  const { run, extra } = variants[name] as (typeof variants)[string];

  test("learns to emit rewarded tokens and frees what it allocated", async () => {
    const device = await createWasmDevice({ relaxed: false });
    try {
      const model = tinyModel(device);
      model.decoder.parameters.grads();
      const before = device.counters.liveBytes;
      const sizes = { perDeviceTrainBatchSize: 32, numGenerations: 8, learningRate: 0.05, maxSteps: 25 };
      const steps = await allOf(run(options({ ...extra, ...sizes, model, rewards: low })));
      const rewards = steps.map(({ metrics }) => metrics.reward as number);
      expect(rewards[0]).toBeLessThan(0.4);
      expect(Math.max(...rewards.slice(-5))).toBeGreaterThan(0.9);
      expect(device.counters.liveBytes).toBe(before);
    } finally {
      await device.destroy();
    }
  });

  test("equal rewards give no gradient where there is a baseline", async () => {
    const baseline = name === "reinforce" ? { baseline: "mean" as const } : {};
    const { metrics } = await movement(run, { ...extra, ...baseline, beta: 0, rewards: same });
    expect(metrics.map(({ grad_norm }) => grad_norm)).toEqual([0, 0]);
  });

  test("the gradient does not depend on micro-batches, KL and several steps included", async () => {
    const variant = { ...extra, beta: 0.1, numIterations: 2 };
    const whole = await movement(run, variant);
    expect(whole.metrics.every(({ grad_norm }) => (grad_norm as number) > 0)).toBe(true);
    const split = await movement(run, { ...variant, perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 4, maxTokensPerMicroBatch: 14 });
    expect(relativeDistance(split.moved, whole.moved)).toBeLessThan(1e-6);
    split.metrics.forEach((metrics, i) => {
      for (const [metric, value] of Object.entries(whole.metrics[i] as Record<string, number>))
        expect(metrics[metric], metric).toBeCloseTo(value, 6);
    });
  });

  test("a resumed run ends with the same bits", async () => {
    const moving = { syncRefModel: true, refModelMixupAlpha: 0.5, refModelSyncSteps: 2, beta: 0.05 };
    const settings = { ...extra, ...moving, perDeviceTrainBatchSize: 4, stepsPerGeneration: 2, maxSteps: 5 };
    const whole = options({ ...settings, model: tinyModel(createRoundedDevice()) });
    const seen: unknown[] = [];
    let resume: TrainingState | undefined;
    for await (const step of run(whole)) {
      seen.push(step.metrics);
      if (step.step === 3) resume = await step.state();
    }
    const json = JSON.parse(JSON.stringify(resume?.run)) as Record<string, unknown>;
    const model = tinyModel(createRoundedDevice());
    const steps = await allOf(run({ ...whole, model, resume: { ...(resume as TrainingState), run: json } }));
    expect(steps.map(({ metrics }) => metrics)).toEqual(seen.slice(3));
    expect(await weightsOf(model)).toEqual(await weightsOf(whole.model));
  });
});

describe("rloo", () => {
  test("on fresh completions it is GRPO's policy gradient over whole completions, times G / (G - 1)", async () => {
    const loo = await movement(rloo, { beta: 0, maxSteps: 1, rewardWeights: [0.75] });
    const centred = await movement((given) => grpo({ ...given, lossType: "luspo", scaleRewards: "none" }), {
      maxSteps: 1,
      numGenerations: 4,
    });
    // RLOO averages the one loss of each completion, whose gradient is the sum over its tokens: luspo's reduction.
    expect(relativeDistance(loo.moved, centred.moved)).toBeLessThan(1e-5);
  });

  test("the KL to the reference comes out of the reward; rewards are clipped before", async () => {
    const reference = tinyModel(createReferenceDevice(), { seed: 8 });
    const model = () => tinyModel(reference.decoder.device);
    const priced = await movement(rloo, { model: model(), reference, beta: 1, rewards: same, maxSteps: 1 });
    expect(priced.metrics[0]?.grad_norm).toBeGreaterThan(0);
    expect(Math.abs(priced.metrics[0]?.kl as number)).toBeGreaterThan(1e-3);
    const clipped = await movement(rloo, { beta: 0, rewardClipRange: [10, 20], maxSteps: 1 });
    expect(clipped.metrics[0]?.grad_norm).toBe(0);
  });

  test("a step reports TRL's metrics", async () => {
    const [step] = await allOf(rloo(options({ maxSteps: 1 })));
    for (const name of ["reward", "kl", "entropy", "clip_ratio/region_mean", "frac_reward_zero_std", "grad_norm", "loss"]) {
      expect(step?.metrics[name], name).toBeTypeOf("number");
    }
    expect(step?.metrics.kl).toBeCloseTo(0, 6);
    expect(step?.completions).toHaveLength(8);
  });
});

describe("reinforce", () => {
  test("rewards of tokens are credited to what came before them only", async () => {
    // Only the first token earns anything: to go, later tokens have no credit.
    const first: RewardFunction = ({ completionIds }) =>
      completionIds.map((ids) => ({ total: 1, tokens: Array.from(ids, (_, t) => (t === 0 ? 1 : 0)) }));
    const advantage = async (credit: "total" | "reward_to_go") => {
      const run = reinforce(options({ credit, baseline: "none", rewards: first, maxSteps: 1 }));
      const [step] = (await allOf(run)) as { completions: readonly { advantage: number }[] }[];
      return step?.completions.map((completion) => completion.advantage) as number[];
    };
    expect(await advantage("total")).toEqual(new Array(8).fill(1));
    expect((await advantage("reward_to_go")).every((a) => a > 0 && a <= 1)).toBe(true);
    expect(Math.min(...(await advantage("reward_to_go")))).toBeLessThan(0.6);
  });

  test("a KL in the reward or in the loss", async () => {
    const reference = tinyModel(createReferenceDevice(), { seed: 8 });
    const at = (klPlacement: "reward" | "loss", rewards: RewardFunction) =>
      movement(reinforce, {
        model: tinyModel(reference.decoder.device),
        reference,
        beta: 1,
        klPlacement,
        rewards,
        baseline: "mean",
        maxSteps: 1,
      });
    const [reward, loss] = [await at("reward", same), await at("loss", same)];
    expect(reward.metrics[0]?.grad_norm).toBeGreaterThan(0);
    expect(loss.metrics[0]?.grad_norm).toBeGreaterThan(0);
    expect(reward.metrics[0]).toHaveProperty("objective/kl");
    expect(loss.metrics[0]?.kl).toBeGreaterThan(0);
  });

  test("bad options are refused together", async () => {
    const given = options({ advantageEstimator: "opo", credit: "total", gamma: 2, lossAggMode: "sum" as "token-mean", numGenerations: 1 });
    const error = await allOf(reinforce(given)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(/`numGenerations`.*`lossAggMode`.*`credit`.*`gamma`/);
    for (const extra of [{ credit: "total" as const }, { advantageEstimator: "remax" as const }])
      await expect(allOf(reinforce(options({ ...extra, gamma: 0.5 })))).rejects.toThrow(
        /`gamma` must be 1 where whole completions are credited, got 0.5/,
      );
  });
});
