/** PPO: it reaches the regularised optimum, follows the policy gradient, splits change nothing, resuming is not having stopped, controllers steer. */
import { createReferenceDevice, type ReferenceDevice } from "@trimtab/kernels/reference";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { describe, expect, test } from "vitest";
import { Tape } from "../src/autograd/tape";
import type { TrainingState } from "../src/checkpoint/state";
import { collate } from "../src/data/batch";
import { ConfigError, DataError, RewardError } from "../src/errors";
import { generate } from "../src/generate/generate";
import { batchLogprobs } from "../src/models/logprobs";
import { newScalarModel, targetValues } from "../src/models/scalar-model";
import type { Metrics } from "../src/rl/metrics";
import type { RewardFunction } from "../src/rl/rewards";
import type { RolloutFunction } from "../src/rl/rollout-function";
import { type Experience, experienceFromJSON } from "../src/rl/scored-rollout";
import { type PpoOptions, type PpoStep, ppo } from "../src/trainers/ppo";
import { armLogps, banditModel, banditPrompts, banditReward, shareOfOptimum } from "./bandit";
import { allOf, createRoundedDevice, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

/** Any spread of rewards. */
const spread: RewardFunction = ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7);
const same: RewardFunction = ({ completions }) => completions.map(() => 1);

const options = (extra: Partial<PpoOptions> = {}): PpoOptions => ({
  model: tinyModel(createReferenceDevice()),
  prompts: [{ prompt: "ab" }, { prompt: "hello" }, { prompt: "x" }],
  rewards: spread,
  learningRate: 0.01,
  lrSchedulerType: "constant",
  perDeviceTrainBatchSize: 8,
  maxCompletionLength: 5,
  temperature: 1,
  maxSteps: 2,
  ...extra,
});

/** Completions of which the two middle tokens are an environment's. */
const withEnvironment: RolloutFunction = async (request) =>
  (await generate(request)).map((completion) => ({
    ...completion,
    mask: Uint8Array.from(completion.tokens, (_, t) => (t === 1 || t === 2 ? 0 : 1)),
  }));

/** Completions that end by themselves, below the limit. */
const ended: RolloutFunction = async (request) =>
  (await generate({ ...request, maxNewTokens: 3 })).map((completion) => ({ ...completion, finishReason: "stop" }));

/** What the round under way learns from. */
async function experienceAt(step: PpoStep): Promise<Experience> {
  const { own } = (await step.state()).run as { own: { rounds: { experience: Record<string, unknown> } } };
  return experienceFromJSON(own.rounds.experience);
}

async function valueWeights(step: PpoStep): Promise<Float32Array[]> {
  return [...((await step.state()).others.get("value")?.weights.values() ?? [])] as Float32Array[];
}

describe("ppo", () => {
  test.each([
    ["the clipped surrogate", {}],
    ["the KL penalty", { penalty: "kl" }],
    ["a shared value model", { valueModel: "shared" }],
    ["small batches and TRL's score placement", { perDeviceTrainBatchSize: 16, numMiniBatches: 4, scorePlacement: "trl" }],
  ] as const)("reaches the optimum of reward less KL with %s", async (_, extra) => {
    const device = await createWasmDevice({ relaxed: false });
    const model = banditModel(device);
    const first = await armLogps(model);
    const bandit = { prompts: banditPrompts, rewards: banditReward, klCoef: 0.3, maxCompletionLength: 1, perDeviceTrainBatchSize: 64 };
    await allOf(ppo(options({ ...bandit, model, learningRate: 0.02, lrSchedulerType: "linear", numPpoEpochs: 2, maxSteps: 40, ...extra })));
    expect(shareOfOptimum(await armLogps(model), first, 0.3)).toBeGreaterThan(0.95);
    await device.destroy();
  });

  test("a step reports TRL's metrics and its completions, and frees what it allocated", async () => {
    const run = options({ maxSteps: 1, numMiniBatches: 2, clock: () => 0 });
    const { device, parameters } = run.model.decoder;
    parameters.grads();
    const live = device.counters.liveBytes;
    const [step] = await allOf(ppo(run));
    const { metrics, completions } = step as PpoStep;
    expect(Object.keys(metrics).sort()).toEqual(
      `completions/clipped_ratio completions/max_length completions/max_terminated_length completions/mean_length
       completions/mean_terminated_length completions/min_length completions/min_terminated_length entropy episode epoch grad_norm kl kl_k1
       learning_rate loss loss/policy_avg loss/value_avg lr num_tokens objective/entropy objective/kl objective/kl_coef
       objective/non_score_reward objective/rlhf_reward objective/scores policy/approxkl_avg policy/clipfrac_avg policy/entropy_avg reward
       reward_std rewards/spread/mean rewards/spread/std sampling/sampling_logp_difference/max sampling/sampling_logp_difference/mean
       skipped_steps step_time val/clipfrac_avg val/explained_variance val/num_eos_tokens val/ratio val/ratio_var value_grad_norm`.split(
        /\s+/,
      ),
    );
    // The reference is the policy itself, and the new value head says 0.
    expect(metrics.kl).toBeCloseTo(0, 9);
    expect(metrics["objective/rlhf_reward"]).toBeCloseTo(metrics.reward as number, 6);
    expect(metrics["val/explained_variance"]).toBeCloseTo(0, 9);
    expect(metrics.loss).toBeCloseTo((metrics["loss/policy_avg"] as number) + 0.1 * (metrics["loss/value_avg"] as number), 9);
    expect(metrics.episode).toBe(16);
    expect(completions).toHaveLength(8);
    expect(device.counters.liveBytes).toBe(live);
  });

  test("objective metrics are what their names say, of the recorded tokens", async () => {
    const run = options({
      numPpoEpochs: 2,
      klCoef: 0.5,
      missingEosPenalty: 2,
      rewardClipRange: [0, 4],
      maxSteps: 3,
      perDeviceTrainBatchSize: 4,
    });
    const reference = tinyModel(run.model.decoder.device, { seed: 8 });
    let checked = false;
    for await (const step of ppo({ ...run, reference })) {
      if (step.step !== 3) continue;
      const { rollout, oldLogps, refLogps } = await experienceAt(step);
      const counts = [...rollout.mask.keys()].filter((n) => rollout.mask[n]);
      const ratios = counts.map((n) => (oldLogps?.[n] as number) - (refLogps?.[n] as number));
      const kl = ratios.reduce((a, b) => a + b, 0) / 4;
      const scores = step.completions.map(
        ({ reward, finishReason }) => Math.min(reward as number, 4) - (finishReason === "length" ? 2 : 0),
      );
      const score = scores.reduce((a, b) => a + b, 0) / 4;
      const { metrics } = step;
      expect(Math.abs(kl)).toBeGreaterThan(0.01);
      expect(metrics["objective/kl"]).toBeCloseTo(kl, 6);
      expect(metrics["objective/non_score_reward"]).toBeCloseTo(-0.5 * kl, 6);
      expect(metrics["objective/scores"]).toBeCloseTo(score, 6);
      expect(metrics["objective/rlhf_reward"]).toBeCloseTo(score - 0.5 * kl, 6);
      expect(metrics["objective/entropy"]).toBeCloseTo(-counts.reduce((sum, n) => sum + (oldLogps?.[n] as number), 0) / 4, 5);
      expect(metrics.kl).toBeCloseTo(ratios.reduce((sum, a) => sum + Math.exp(-a) - 1 + a, 0) / counts.length, 6);
      checked = true;
    }
    expect(checked).toBe(true);
  });

  test.each(["clip", "kl"] as const)(
    "its gradient at ratio 1 is the policy gradient, an environment's tokens left out: %s",
    async (penalty) => {
      const device = createReferenceDevice();
      // Adam with a huge ε moves along the gradient; a zero value head leaves the policy's gradient to the surrogate.
      const epsilon = 1e6;
      const exact = { adamEpsilon: epsilon, learningRate: 1, maxGradNorm: 0, numPpoEpochs: 2, maxSteps: 1 };
      const model = tinyModel(device);
      const parametersOf = () => model.decoder.parameters.shards.map((shard) => Array.from(device.readF64(shard)));
      const before = parametersOf();
      const run = options({ ...exact, model, penalty, rolloutFunction: withEnvironment, klCoef: 0.1 });
      let experience: Experience | undefined;
      for await (const step of ppo(run)) {
        expect(step.metrics["policy/clipfrac_avg"] ?? 0).toBe(0);
        experience = await experienceAt(step);
      }
      const { rollout, advantages } = experience as Experience;
      const gradient = parametersOf().map((shard, i) => shard.map((value, j) => ((before[i]?.[j] as number) - value) * epsilon));

      // f(θ) = -Σ A_t log π_θ(o_t) / T by forward passes, along the gradient and along two other directions.
      const rows = rollout.ends.map((_, s) => {
        const [from, to] = [rollout.offsets[s] as number, rollout.offsets[s + 1] as number];
        return { tokens: rollout.tokens.subarray(from, to), mask: rollout.mask.subarray(from, to) };
      });
      const counted = [...advantages].filter((_, n) => rollout.mask[n]);
      const surrogate = (shards: readonly (readonly number[])[]) => {
        model.decoder.parameters.shards.forEach((shard, i) => {
          device.writeF64(shard, Float64Array.from(shards[i] as number[]));
        });
        const tape = new Tape(device, { grad: false });
        const logps = device.readF64(batchLogprobs(tape, model.decoder, collate(rows, 257)).logp);
        tape.dispose();
        return -counted.reduce((sum, advantage, t) => sum + advantage * (logps[t] as number), 0) / counted.length;
      };
      const wave = (phase: number) => before.map((shard) => shard.map((_, j) => Math.sin(phase * (j + 1))));
      for (const direction of [gradient, wave(1), wave(2.3)]) {
        const norm = Math.sqrt(direction.flat().reduce((sum, d) => sum + d * d, 0));
        const step = 1e-4 / norm;
        const moved = (by: number) => before.map((shard, i) => shard.map((value, j) => value + by * (direction[i]?.[j] as number)));
        const slope = (surrogate(moved(step)) - surrogate(moved(-step))) / (2 * step);
        const expected = direction.reduce((sum, shard, i) => sum + shard.reduce((so, d, j) => so + d * (gradient[i]?.[j] as number), 0), 0);
        expect(Math.abs(slope - expected)).toBeLessThan(1e-5 * norm);
        expect(Math.abs(expected)).toBeGreaterThan(1e-4);
      }
    },
  );

  test("credit crosses an environment's tokens, which get none", async () => {
    const run = options({ rolloutFunction: withEnvironment, whitenAdvantages: false, klCoef: 0, lam: 1, numPpoEpochs: 2, maxSteps: 1 });
    let tokens = 0;
    for await (const step of ppo(run)) {
      const { rollout, advantages, returns } = await experienceAt(step);
      step.completions.forEach(({ reward }, s) => {
        for (let n = rollout.completionStarts[s] as number; n < (rollout.offsets[s + 1] as number); n++) {
          // Values are 0, so that every action's advantage is what is still to come: the score.
          expect([advantages[n], returns?.[n]]).toEqual(rollout.mask[n] ? [reward, reward] : [0, 0]);
          tokens += rollout.mask[n] as number;
        }
      });
    }
    expect(tokens).toBeGreaterThan(8);
  });

  const splits = [
    { perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 4 },
    { maxTokensPerMicroBatch: 14 },
    { gradientCheckpointing: true },
  ];

  test.each([
    ["separate", {}],
    ["shared", { valueModel: "shared" }],
    ["KL penalty", { penalty: "kl", penaltyTarget: 1e-9 }],
    ["TRL's score placement", { scorePlacement: "trl", rolloutFunction: ended, whitenRewards: true }],
    ["PPO-ptx", { ptxDataset: [{ text: "abc" }, { prompt: "a", completion: "longer" }, { text: "x" }], ptxBatchSize: 3 }],
  ] as const)("gradients of policy and value do not depend on micro-batches: %s", async (_, variant) => {
    const movement = async (extra: Partial<PpoOptions>) => {
      // Two passes, so that ratios and value clipping matter; SGD-like, so that weights show the gradient.
      const run = options({ ...variant, entropyCoef: 0.01, numPpoEpochs: 2, maxGradNorm: 0, adamEpsilon: 1, learningRate: 0.3, ...extra });
      const before = await weightsOf(run.model);
      const steps: PpoStep[] = [];
      let value: Float32Array[] = [];
      for await (const step of ppo(run)) {
        steps.push(step);
        value = await valueWeights(step);
      }
      const moved = (await weightsOf(run.model)).map((flat, i) => flat.map((w, j) => w - ((before[i] as Float32Array)[j] as number)));
      return { moved, value, losses: steps.map((step) => step.metrics.loss as number) };
    };
    const whole = await movement({});
    for (const extra of splits) {
      const split = await movement(extra);
      expect(relativeDistance(split.moved, whole.moved)).toBeLessThan(1e-6);
      expect(relativeDistance(split.value, whole.value)).toBeLessThan(1e-6);
      split.losses.forEach((loss, i) => {
        expect(loss).toBeCloseTo(whole.losses[i] as number, 6);
      });
    }
  });

  test("the first pass sees a ratio of exactly 1, the second does not", async () => {
    const device = await createWasmDevice({ relaxed: false });
    const run = options({
      model: tinyModel(device),
      numPpoEpochs: 2,
      perDeviceTrainBatchSize: 4,
      gradientAccumulationSteps: 2,
      maxSteps: 3,
    });
    const [first, second, third] = (await allOf(ppo(run))).map(({ metrics }) => metrics);
    const untouched = { "val/ratio": 1, "val/ratio_var": 0, "policy/approxkl_avg": 0, "policy/clipfrac_avg": 0 };
    expect(first).toMatchObject(untouched);
    expect(second?.["val/ratio_var"]).toBeGreaterThan(0);
    expect(third).toMatchObject(untouched);
    await device.destroy();
  });

  test("equal rewards without a KL give the policy a gradient of exactly zero", async () => {
    const run = options({ rewards: same, klCoef: 0, lam: 1, maxSteps: 1, maxCompletionLength: 1 });
    const before = await weightsOf(run.model);
    const [step] = await allOf(ppo(run));
    expect(step?.metrics.grad_norm).toBe(0);
    expect(step?.metrics.value_grad_norm).toBeGreaterThan(0);
    expect(await weightsOf(run.model)).toEqual(before);
  });

  test.each(["clip", "kl"] as const)(
    "TRL's score placement teaches the value of the end, and the policy nothing there: %s",
    async (penalty) => {
      const run = async (scorePlacement: "last" | "trl") => {
        // Equal rewards and values of 0: every advantage is the same, and only the entropy bonus moves the policy.
        const equal = { rewards: same, klCoef: 0, lam: 1, entropyCoef: 0.1, numPpoEpochs: 2, maxSteps: 1, penalty };
        const trained = options({ ...equal, rolloutFunction: ended, scorePlacement });
        let experience: Experience | undefined;
        for await (const step of ppo(trained)) experience = await experienceAt(step);
        return { experience: experience as Experience, weights: await weightsOf(trained.model) };
      };
      const [last, trl] = [await run("last"), await run("trl")];
      expect(trl.weights).toEqual(last.weights);
      expect(trl.experience.rollout.tokens.length).toBe(last.experience.rollout.tokens.length + 8);
      const learned = [...(trl.experience.valueMask as Float32Array)].reduce((a, b) => a + b, 0);
      expect(learned).toBe(trl.experience.rollout.mask.reduce((a, b) => a + b, 0) + 8);
    },
  );

  test("clipped values stop learning, unclipped ones go on", async () => {
    const oneState = { prompts: [{ prompt: "ab" }], maxCompletionLength: 1, rewards: same, klCoef: 0 };
    const run = (cliprangeValue: number) =>
      allOf(ppo(options({ ...oneState, cliprangeValue, numPpoEpochs: 3, maxSteps: 3, learningRate: 0, valueLearningRate: 0.02 })));
    const [clipped, free] = [await run(1e-6), await run(0)];
    // The value is 0 at first, within any range; then it has left it towards its return of 1, and the loss is flat.
    expect(clipped.map(({ metrics }) => metrics["val/clipfrac_avg"])).toEqual([0, 1, 1]);
    expect(clipped[1]?.metrics.value_grad_norm).toBe(0);
    expect(free[0]?.metrics).not.toHaveProperty("val/clipfrac_avg");
    expect(free[2]?.metrics["loss/value_avg"]).toBeLessThan(free[1]?.metrics["loss/value_avg"] as number);
    expect(free[2]?.metrics.value_grad_norm).toBeGreaterThan(0);
  });

  test("the value model learns what the rewards are", async () => {
    const run = options({ rewards: ({ prompts }) => prompts.map((prompt) => String(prompt).length), lam: 1, learningRate: 0, klCoef: 0 });
    const steps = await allOf(ppo({ ...run, valueLearningRate: 0.02, cliprangeValue: 0, maxSteps: 60, perDeviceTrainBatchSize: 12 }));
    expect(steps.at(-1)?.metrics["val/explained_variance"]).toBeGreaterThan(0.9);
  });

  test("a value model that was given is copied, head and all, and stays as it is", async () => {
    const run = options({ numPpoEpochs: 2, maxSteps: 1 });
    const given = newScalarModel(tinyModel(run.model.decoder.device, { seed: 9 }), 3);
    const before = await weightsOf(given);
    for await (const step of ppo({ ...run, valueModel: given })) {
      const { rollout, values } = await experienceAt(step);
      const row = { tokens: rollout.tokens.subarray(0, rollout.offsets[1]), mask: rollout.mask.subarray(0, rollout.offsets[1]) };
      const tape = new Tape(given.decoder.device, { grad: false });
      const expected = await given.decoder.device.read(targetValues(tape, given, collate([row], 257)));
      expect([...(values as Float32Array).subarray(rollout.completionStarts[0], rollout.offsets[1])]).toEqual([...expected]);
      tape.dispose();
    }
    expect(await weightsOf(given)).toEqual(before);
  });

  test("the price of the KL rises above its target and falls below it, by the controller's rule", async () => {
    const model = tinyModel(createReferenceDevice());
    const { decoder: far } = tinyModel(model.decoder.device, { seed: 8, initializerRange: 0.4 });
    const coefficients = async (klTarget: number) =>
      (await allOf(ppo(options({ model, reference: { decoder: far }, klTarget, klHorizon: 80, maxSteps: 3, numPpoEpochs: 1 })))).map(
        ({ metrics }) => metrics["objective/kl_coef"] as number,
      );
    // 8 episodes with the error clipped at ±0.2: a factor of 1 ± 0.2 · 8 / 80 each round.
    (await coefficients(1e-6)).forEach((coefficient, round) => {
      expect(coefficient).toBeCloseTo(0.05 * 1.02 ** round, 12);
    });
    (await coefficients(1e6)).forEach((coefficient, round) => {
      expect(coefficient).toBeCloseTo(0.05 * 0.98 ** round, 12);
    });
  });

  test("the penalty's β is doubled or halved after each round", async () => {
    const betas = async (penaltyTarget: number) =>
      (await allOf(ppo(options({ penalty: "kl", penaltyTarget, numPpoEpochs: 2, maxSteps: 6 })))).map(({ metrics }) => metrics);
    const [rising, falling] = [await betas(1e-9), await betas(1e9)];
    expect(rising.map((metrics) => metrics["policy/penalty_beta"])).toEqual([1, 1, 2, 2, 4, 4]);
    expect(falling.map((metrics) => metrics["policy/penalty_beta"])).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25]);
    expect(rising.map((metrics) => "policy/penalty_kl" in metrics)).toEqual([false, true, false, true, false, true]);
    expect(rising[1]?.["policy/penalty_kl"]).toBeGreaterThan(0);
  });

  test("a round ends early once the policy has moved too far", async () => {
    const steps = await allOf(ppo(options({ earlyStopKl: 1e-9, numPpoEpochs: 4, maxSteps: 6 })));
    // The first pass of a round sees no distance, the second does.
    expect(steps.map(({ metrics }) => metrics["policy/early_stop"])).toEqual([0, 1, 0, 1, 0, 1]);
    expect(steps.map(({ metrics }) => metrics.episode)).toEqual([8, 8, 16, 16, 24, 24]);
    const patient = await allOf(ppo(options({ earlyStopKl: 1e9, numPpoEpochs: 4, maxSteps: 5 })));
    expect(patient.map(({ metrics }) => metrics.episode)).toEqual([8, 8, 8, 8, 16]);
  });

  test("PPO-ptx keeps learning its texts, each step the next ones", async () => {
    const ptx = { ptxDataset: [{ text: "abab" }, { text: "cdcd" }], ptxBatchSize: 2 };
    const steps = await allOf(ppo(options({ rewards: same, klCoef: 0, ...ptx, numPpoEpochs: 1, maxSteps: 30, learningRate: 0.03 })));
    const losses = steps.map(({ metrics }) => metrics["loss/ptx"] as number);
    expect(losses[0]).toBeCloseTo(Math.log(257), 0);
    expect(losses.at(-1)).toBeLessThan(2);
    const { metrics } = steps[0] as PpoStep;
    const parts = (metrics["loss/policy_avg"] as number) + 0.1 * (metrics["loss/value_avg"] as number) + (losses[0] as number);
    expect(metrics.loss).toBeCloseTo(parts, 6);
    const [heavy] = await allOf(ppo(options({ rewards: same, ...ptx, ptxCoef: 27.8, maxSteps: 1 })));
    expect(heavy?.metrics["loss/ptx"]).toBeCloseTo(losses[0] as number, 9);
    expect((heavy?.metrics.loss as number) / 27.8).toBeCloseTo(losses[0] as number, 0);
  });

  test("completions without a score teach nothing", async () => {
    const half: RewardFunction = ({ completionIds }) => completionIds.map((ids, i) => (i % 2 === 0 ? (ids[0] as number) % 7 : null));
    for await (const step of ppo(options({ rewards: half, numPpoEpochs: 2, maxSteps: 1 }))) {
      const { rollout } = await experienceAt(step);
      step.completions.forEach(({ advantage }, s) => {
        const own = rollout.mask.subarray(rollout.offsets[s], rollout.offsets[s + 1]);
        expect(own.includes(1)).toBe(s % 2 === 0);
        if (s % 2 === 1) expect(advantage).toBe(0);
      });
    }
    const none: RewardFunction = ({ completions }) => completions.map(() => null);
    const [step] = await allOf(ppo(options({ rewards: none, maxSteps: 1, whitenRewards: true })));
    expect(step?.metrics.grad_norm).toBe(0);
    expect(Object.values(step?.metrics as Metrics).every(Number.isFinite)).toBe(true);
  });

  const everything: Partial<PpoOptions> = {
    maxSteps: 6,
    perDeviceTrainBatchSize: 4,
    numMiniBatches: 2,
    numPpoEpochs: 2,
    klTarget: 0.01,
    klHorizon: 100,
    ptxDataset: [{ text: "one" }, { text: "two" }, { text: "three" }],
    ptxBatchSize: 2,
    weightDecay: 0.01,
    valueLearningRate: 0.02,
    lrSchedulerType: "cosine",
    warmupSteps: 2,
  };
  const resumed: readonly (readonly [string, number, Partial<PpoOptions>])[] = [
    ...[1, 2, 3, 4, 5].map((at) => ["adaptive KL, PPO-ptx and a separate value model", at, {}] as const),
    ["the KL penalty and a shared value model", 5, { penalty: "kl", penaltyTarget: 1e-9, valueModel: "shared" }],
    ["an early stop and TRL's score placement", 2, { earlyStopKl: 1e-9, scorePlacement: "trl", rolloutFunction: ended }],
    ["a reference that follows", 3, { syncRefModel: true, refModelSyncSteps: 2, earlyStopKl: 1e-9 }],
  ];

  test.each(resumed)("a run with %s resumed after step %i ends with the same bits", async (_, at, extra) => {
    const fresh = () => tinyModel(createRoundedDevice());
    const whole = options({ ...everything, ...extra, model: fresh() });
    const metrics: Metrics[] = [];
    let value: Float32Array[] = [];
    let resume: TrainingState | undefined;
    for await (const step of ppo(whole)) {
      metrics.push(step.metrics);
      if (step.step === at) resume = await step.state();
      value = await valueWeights(step);
    }
    const run = JSON.parse(JSON.stringify(resume?.run)) as Record<string, unknown>;
    const model = fresh();
    const rest: Metrics[] = [];
    for await (const step of ppo({ ...whole, model, resume: { ...(resume as TrainingState), run } })) {
      rest.push(step.metrics);
      if (step.step === 6) expect(await valueWeights(step)).toEqual(value);
    }
    expect(rest).toEqual(metrics.slice(at));
    expect(await weightsOf(model)).toEqual(await weightsOf(whole.model));
  });
});

describe("what cannot work", () => {
  test("bad options are listed at once, before any work", async () => {
    const elsewhere = newScalarModel(tinyModel(createReferenceDevice()), 1);
    const run = options({
      numPpoEpochs: 0,
      numMiniBatches: 1.5,
      klCoef: -1,
      klEstimator: "k4" as "k1",
      cliprange: 0,
      cliprangeValue: -1,
      gamma: 1.1,
      lam: -0.1,
      missingEosPenalty: -1,
      rewardClipRange: [1, 1],
      scorePlacement: "first" as "last",
      penalty: "trust" as "clip",
      klTarget: 0,
      earlyStopKl: 0,
      valueModel: elsewhere,
      valueLearningRate: -1,
      ptxBatchSize: 0,
    });
    const error = await allOf(ppo(run)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ConfigError);
    const { message } = error as Error;
    const names = [...message.matchAll(/`(\w+)`/g)].map(([, name]) => name);
    expect(names.sort()).toEqual(
      `cliprange cliprangeValue earlyStopKl gamma klCoef klEstimator klTarget lam missingEosPenalty numMiniBatches numPpoEpochs penalty
       ptxBatchSize rewardClipRange scorePlacement valueLearningRate valueModel`.split(/\s+/),
    );
    expect(message).toContain("`valueModel` must be a model on the policy's device");
    expect(run.model.decoder.device.counters.readbacks).toBe(0);
    const text = await allOf(ppo(options({ ptxDataset: [{ text: "fine" }, { words: "no" }] }))).catch((e: unknown) => e);
    expect(text).toBeInstanceOf(DataError);
    expect(text).toMatchObject({ line: 2 });
  });

  test("a value model without a score head, or with another vocabulary, is refused", async () => {
    const { model } = options();
    const bad = { decoder: model.decoder, score: model.decoder.parameter("embedding"), tokenizer: model.tokenizer };
    await expect(allOf(ppo(options({ model, valueModel: bad })))).rejects.toThrow(/`valueModel` must be a model with a score head/);
    const small = newScalarModel(banditModel(model.decoder.device), 1);
    await expect(allOf(ppo(options({ model, valueModel: small })))).rejects.toThrow(/policy's vocabulary size 257/);
  });

  test("a reward that fails leaves nothing allocated or changed", async () => {
    const run = options({
      rewards: () => {
        throw new TypeError("boom");
      },
      ptxDataset: [{ text: "a" }],
    });
    const { device, parameters } = run.model.decoder;
    parameters.grads();
    const [bytes, weights] = [device.counters.liveBytes, await weightsOf(run.model)];
    await expect(allOf(ppo(run))).rejects.toBeInstanceOf(RewardError);
    expect((device as ReferenceDevice).counters.liveBytes).toBe(bytes);
    expect(await weightsOf(run.model)).toEqual(weights);
  });
});
