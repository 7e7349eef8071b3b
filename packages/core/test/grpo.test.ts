/** GRPO: it learns from reward, equal rewards change nothing, resuming is not having stopped, rewards may fail. Variants: grpo-variants.test.ts. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import type { TrainingState } from "../src/checkpoint/state";
import { ConfigError, DataError, RewardError } from "../src/errors";
import { generate } from "../src/generate/generate";
import type { Completion } from "../src/generate/options";
import type { Metrics } from "../src/rl/metrics";
import type { RewardFunction } from "../src/rl/rewards";
import type { RolloutFunction } from "../src/rl/rollout-function";
import { type GrpoOptions, grpo } from "../src/trainers/grpo";
import { allOf, createRoundedDevice, tinyModel, weightsOf } from "./trainer-model";

/** The share of tokens below 40 in a completion (bytes; 0 is the end of text). */
const lowTokens: RewardFunction = ({ completionIds }) => completionIds.map((ids) => ids.filter((id) => id < 40).length / ids.length);
/** Any spread of rewards. */
const spread: RewardFunction = ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7);
const same: RewardFunction = ({ completions }) => completions.map(() => 1);

const prompts = [{ prompt: "ab" }, { prompt: "hello" }, { prompt: "x" }];

const options = (extra: Partial<GrpoOptions> = {}): GrpoOptions => ({
  model: tinyModel(createReferenceDevice()),
  prompts,
  rewards: spread,
  learningRate: 0.01,
  lrSchedulerType: "constant",
  perDeviceTrainBatchSize: 8,
  numGenerations: 4,
  maxCompletionLength: 5,
  maxSteps: 2,
  ...extra,
});

describe("grpo", () => {
  test("learns to emit rewarded tokens and frees what it allocated", async () => {
    const run = options({
      rewards: lowTokens,
      learningRate: 0.05,
      maxSteps: 25,
      perDeviceTrainBatchSize: 24,
      numGenerations: 8,
      beta: 1e-3,
    });
    const { device, parameters } = run.model.decoder;
    parameters.grads();
    const before = device.counters.liveBytes;
    const steps = await allOf(grpo(run));
    const rewards = steps.map((step) => step.metrics.reward as number);
    expect(rewards[0]).toBeLessThan(0.4);
    expect(rewards.at(-1)).toBeGreaterThan(0.9);
    expect(device.counters.liveBytes).toBe(before);
  });

  test("a step reports TRL's metrics and its completions", async () => {
    const run = options({ maxSteps: 1, logKl: true, entropyCoef: 0.01, clock: () => 0 });
    const [step] = await allOf(grpo(run));
    const { metrics, completions } = step as NonNullable<typeof step>;
    expect(Object.keys(metrics).sort()).toEqual(
      `clip_ratio/high_max clip_ratio/high_mean clip_ratio/low_mean clip_ratio/low_min clip_ratio/region_mean completions/clipped_ratio
       completions/max_length completions/max_terminated_length completions/mean_length completions/mean_terminated_length
       completions/min_length completions/min_terminated_length entropy entropy_coef epoch frac_reward_zero_std grad_norm kl learning_rate
       loss num_tokens policy_loss reward reward_std rewards/spread/mean rewards/spread/std sampling/importance_sampling_ratio/max
       sampling/importance_sampling_ratio/mean sampling/importance_sampling_ratio/min sampling/sampling_logp_difference/max
       sampling/sampling_logp_difference/mean skipped_steps step_time`.split(/\s+/),
    );
    // Fresh completions, and the reference is the policy itself: ratio 1, no clipping, no KL; centred advantages give no loss.
    expect(metrics.kl).toBeCloseTo(0, 9);
    expect(metrics["clip_ratio/region_mean"]).toBe(0);
    expect(metrics["sampling/sampling_logp_difference/max"]).toBeLessThan(1e-6);
    expect(metrics.epoch).toBeCloseTo(2 / 3, 12);
    expect(metrics.grad_norm).toBeGreaterThan(0);
    expect(completions).toHaveLength(8);
    expect(completions[0]?.rewards).toEqual({ spread: completions[0]?.reward });
    const group = completions.slice(0, 4).map((c) => c.advantage);
    expect(group.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 5);
  });

  test("equal rewards give a gradient of exactly zero", async () => {
    const run = options({ rewards: same });
    const before = await weightsOf(run.model);
    const steps = await allOf(grpo(run));
    expect(steps.map((step) => step.metrics.grad_norm)).toEqual([0, 0]);
    expect(steps[0]?.metrics).toMatchObject({ frac_reward_zero_std: 1, reward: 1, reward_std: 0, loss: 0 });
    expect(await weightsOf(run.model)).toEqual(before);
  });

  test("completions cut short count for nothing when masked", async () => {
    const run = options({ model: tinyModel(createReferenceDevice()), maskTruncatedCompletions: true, maxCompletionLength: 1 });
    const steps = await allOf(grpo(run));
    const cut = steps[0]?.metrics["completions/clipped_ratio"] as number;
    expect(cut).toBeGreaterThan(0.9);
    if (cut === 1) expect(steps[0]?.metrics.grad_norm).toBe(0);
  });

  test("a step makes one readback besides its rollout", async () => {
    const run = options({ maxSteps: 4, numIterations: 4, perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 4 });
    const { counters } = run.model.decoder.device;
    const seen: number[] = [];
    for await (const _ of grpo(run)) seen.push(counters.readbacks);
    expect(seen.slice(1).map((n, i) => n - (seen[i] as number))).toEqual([1, 1, 1]);
  });

  test("several steps and passes per rollout take every row once a pass, in an order of its own", async () => {
    const numbered: RewardFunction = (args) => {
      args.logExtra(
        "row",
        args.completions.map((_, i) => i),
      );
      return spread(args);
    };
    const run = options({ rewards: numbered, perDeviceTrainBatchSize: 4, stepsPerGeneration: 2, numIterations: 2, maxSteps: 8, beta: 0.1 });
    const steps = await allOf(grpo(run));
    const rows = steps.map((step) => step.completions.map((completion) => completion.extras.row as number));
    const pass = (first: number) => [...(rows[first] as number[]), ...(rows[first + 1] as number[])];
    expect([...pass(0)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(pass(0)).not.toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(pass(2)).toEqual(pass(0));
    expect(pass(4)).not.toEqual(pass(0));
    expect(steps[0]?.metrics.epoch).toBeCloseTo(0.5 / 3, 12);
    expect(steps[3]?.metrics.epoch).toBeCloseTo(2 / 3, 12);
    expect(steps[0]?.metrics.num_tokens).toBe(steps[3]?.metrics.num_tokens);
    // The second pass sees ratios other than 1.
    expect(steps[2]?.metrics.kl).toBeGreaterThan(0);
  });

  test("what is sampled depends on the place in the data, not on the batch", async () => {
    const sampled = async (extra: Partial<GrpoOptions>) => {
      const steps = await allOf(grpo(options({ learningRate: 0, shuffleDataset: false, prompts: [{ prompt: "ab" }], ...extra })));
      return steps.flatMap((step) => step.completions.map((completion) => completion.completion));
    };
    const two = await sampled({ maxSteps: 2, perDeviceTrainBatchSize: 8 });
    expect(two.slice(0, 8)).not.toEqual(two.slice(8));
    expect(await sampled({ maxSteps: 4, perDeviceTrainBatchSize: 4 })).toEqual(two);
    expect(await sampled({ maxSteps: 2, perDeviceTrainBatchSize: 8, seed: 43 })).not.toEqual(two);
  });

  test("temperature divides the logits in sampling and in training", async () => {
    for (const numIterations of [1, 2]) {
      const [step] = await allOf(
        grpo(options({ temperature: 0.3, numIterations, model: tinyModel(createReferenceDevice(), { initializerRange: 0.5 }) })),
      );
      expect(step?.metrics["sampling/sampling_logp_difference/max"]).toBeLessThan(1e-5);
    }
  });

  test("a policy that knows nothing has the entropy of the vocabulary, and bnpo is dapo where a rollout has one step", async () => {
    const model = () => tinyModel(createReferenceDevice(), { initializerRange: 1e-12 });
    const [bnpo, dapo] = [
      options({ model: model(), lossType: "bnpo", maxSteps: 1 }),
      options({ model: model(), lossType: "dapo", maxSteps: 1 }),
    ];
    const [step] = await allOf(grpo(bnpo));
    await allOf(grpo(dapo));
    expect(step?.metrics.entropy).toBeCloseTo(Math.log(257), 6);
    expect(await weightsOf(bnpo.model)).toEqual(await weightsOf(dapo.model));
  });

  test("the learning rate warms up and follows its schedule", async () => {
    const rates = async (extra: Partial<GrpoOptions>) =>
      (await allOf(grpo(options({ learningRate: 1e-3, maxSteps: 5, ...extra })))).map((step) => step.metrics.learning_rate as number);
    const warm = { lrSchedulerType: "constant_with_warmup" as const };
    expect(await rates({ ...warm, warmupSteps: 2 })).toEqual([0, 5e-4, 1e-3, 1e-3, 1e-3]);
    expect(await rates({ ...warm, warmupRatio: 0.3 })).toEqual([0, 5e-4, 1e-3, 1e-3, 1e-3]);
    expect((await rates({ lrSchedulerType: "linear" })).map((rate) => Math.round(rate * 1e6))).toEqual([1000, 800, 600, 400, 200]);
  });

  test.each([1, 2, 3, 4, 5])("a run resumed after step %i ends with the same bits", async (at) => {
    const settings = { maxSteps: 6, perDeviceTrainBatchSize: 4, stepsPerGeneration: 2, numIterations: 2, beta: 0.05, weightDecay: 0.01 };
    const fresh = () => tinyModel(createRoundedDevice());
    const logging: RewardFunction = (args) => {
      args.logExtra(
        "first",
        args.completionIds.map((ids) => ids[0]),
      );
      args.logMetric("seen", args.completions.length);
      return spread(args);
    };
    const whole = options({ ...settings, rewards: logging, lrSchedulerType: "cosine", warmupSteps: 2, model: fresh() });
    const metrics: Metrics[] = [];
    const completions: unknown[] = [];
    let resume: TrainingState | undefined;
    for await (const step of grpo(whole)) {
      metrics.push(step.metrics);
      completions.push(step.completions);
      if (step.step === at) resume = await step.state();
    }
    const run = JSON.parse(JSON.stringify(resume?.run)) as Record<string, unknown>;
    const model = fresh();
    const steps = await allOf(grpo({ ...whole, model, resume: { ...(resume as TrainingState), run } }));
    expect(steps.map((step) => step.metrics)).toEqual(metrics.slice(at));
    expect(steps.map((step) => step.completions)).toEqual(completions.slice(at));
    expect(await weightsOf(model)).toEqual(await weightsOf(whole.model));
  });

  test("recorded completions are learned from as sampled ones", async () => {
    const recorded: Completion[][] = [];
    const record: RolloutFunction = async (request) => {
      const completions = await generate(request);
      recorded.push(completions);
      return completions;
    };
    const sampled = options({ rolloutFunction: record, beta: 0.1 });
    const losses = (await allOf(grpo(sampled))).map((step) => step.metrics);
    const replayed = options({ rolloutFunction: async () => recorded.shift() as Completion[], beta: 0.1 });
    expect((await allOf(grpo(replayed))).map((step) => step.metrics)).toEqual(losses);
    expect(await weightsOf(replayed.model)).toEqual(await weightsOf(sampled.model));
    await expect(allOf(grpo(options({ rolloutFunction: async () => [] })))).rejects.toBeInstanceOf(DataError);
  });

  test("a given reference is used and left alone", async () => {
    const reference = tinyModel(createReferenceDevice(), { seed: 8 });
    const model = { ...tinyModel(reference.decoder.device) };
    const before = await weightsOf(reference);
    const [step] = await allOf(grpo(options({ model, reference, beta: 0.1, maxSteps: 1 })));
    expect(step?.metrics.kl).toBeGreaterThan(1e-3);
    expect(await weightsOf(reference)).toEqual(before);
  });

  test("prompt columns reach the rewards, conversations come as messages", async () => {
    const seen: unknown[] = [];
    const answer: RewardFunction = async ({ completions, solution, trainerState }) => {
      seen.push(solution, trainerState);
      return completions.map((_, i) => i);
    };
    await allOf(grpo(options({ prompts: [{ prompt: "a", solution: 3 }], rewards: answer, maxSteps: 1 })));
    expect(seen).toEqual([new Array(8).fill(3), { globalStep: 0, maxSteps: 1, epoch: 0 }]);
  });
});

describe("rewards that fail", () => {
  const failing: Record<string, RewardFunction> = {
    throws: () => {
      throw new TypeError("boom");
    },
    rejects: async () => Promise.reject(new Error("later")),
    notANumber: ({ completions }) => completions.map((_, i) => (i === 3 ? Number.NaN : 0)),
    tooShort: () => [1],
    nothing: () => undefined as unknown as number[],
    neverReturns: () => new Promise(() => {}),
  };

  test.each(Object.keys(failing))("%s: a RewardError names the function, and nothing is left allocated or changed", async (name) => {
    const run = options({ rewards: [same, failing[name] as RewardFunction], rewardTimeoutMs: 50 });
    const { device, parameters } = run.model.decoder;
    parameters.grads();
    const [bytes, weights] = [device.counters.liveBytes, await weightsOf(run.model)];
    const error = await allOf(grpo(run)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RewardError);
    expect((error as Error).message).toContain(`\`${name}\``);
    if (name === "notANumber") expect((error as Error).message).toContain("completion 3");
    expect(device.counters.liveBytes).toBe(bytes);
    expect(await weightsOf(run.model)).toEqual(weights);
  });

  test("skipped failures count as null", async () => {
    const rewards = [spread, failing.throws as RewardFunction, failing.notANumber as RewardFunction];
    const [step] = await allOf(grpo(options({ rewards, onRewardError: "skip", maxSteps: 1 })));
    expect(step?.metrics.reward_failures).toBe(2);
    expect(step?.completions[3]?.rewards).toEqual({ spread: step?.completions[3]?.reward, throws: null, notANumber: null });
    expect(step?.metrics).not.toHaveProperty("rewards/throws/mean");
  });

  test("completions without any reward have no advantage", async () => {
    const [step] = await allOf(grpo(options({ rewards: ({ completions }) => completions.map(() => null), maxSteps: 1 })));
    expect(step?.completions.map((c) => [c.reward, c.advantage])).toEqual(new Array(8).fill([null, 0]));
    expect(step?.metrics.grad_norm).toBe(0);
  });

  test("an aborted run throws the reason at once", async () => {
    const controller = new AbortController();
    const waiting: RewardFunction = () => {
      controller.abort(new Error("stop it"));
      return new Promise(() => {});
    };
    await expect(allOf(grpo(options({ rewards: waiting, signal: controller.signal })))).rejects.toThrow("stop it");
  });
});

describe("bad input is refused before any work", () => {
  test("options", async () => {
    const run = options({
      numGenerations: 3,
      temperature: 0,
      lossType: "ppo" as "grpo",
      rewardWeights: [1, 2],
      rewards: [spread, spread],
      beta: -1,
      maxCompletionLength: 64,
    });
    const error = await allOf(grpo(run)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(
      /different names.*multiple of numGenerations.*context of 64.*`temperature`.*`lossType`.*`beta`/,
    );
    expect(run.model.decoder.device.counters.readbacks).toBe(0);
  });

  test("prompts", async () => {
    const fails = (rows: GrpoOptions["prompts"]) => allOf(grpo(options({ prompts: rows }))).catch((e: unknown) => e);
    expect(await fails([])).toBeInstanceOf(DataError);
    expect(await fails([{ prompt: "a" }, { question: "b" }])).toMatchObject({ line: 2, field: "prompt" });
    expect(await fails([{ prompt: "a".repeat(60) }])).toMatchObject({ line: 1, field: "prompt" });
  });
});
