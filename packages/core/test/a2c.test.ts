/** A2C: every form of advantage reaches the regularised optimum, weights are what they say, splits change nothing, resuming is not having stopped. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { describe, expect, test } from "vitest";
import type { TrainingState } from "../src/checkpoint/state";
import { ConfigError, RewardError } from "../src/errors";
import type { Metrics } from "../src/rl/metrics";
import type { RewardFunction } from "../src/rl/rewards";
import { type A2cOptions, type A2cStep, a2c } from "../src/trainers/a2c";
import { ppo } from "../src/trainers/ppo";
import { armLogps, banditModel, banditPrompts, banditReward, shareOfOptimum } from "./bandit";
import { allOf, createRoundedDevice, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

/** Any spread of rewards. */
const spread: RewardFunction = ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7);

const options = (extra: Partial<A2cOptions> = {}): A2cOptions => ({
  model: tinyModel(createReferenceDevice()),
  prompts: [{ prompt: "ab" }, { prompt: "hello" }, { prompt: "x" }],
  rewards: spread,
  learningRate: 0.01,
  lrSchedulerType: "constant",
  perDeviceTrainBatchSize: 8,
  maxCompletionLength: 5,
  maxSteps: 2,
  ...extra,
});

const forms = ["gae", "td", "monte_carlo", "q"] as const;

async function valueWeights(step: A2cStep): Promise<Float32Array[]> {
  return [...((await step.state()).others.get("value")?.weights.values() ?? [])] as Float32Array[];
}

describe("a2c", () => {
  test.each(forms)("reaches the optimum of reward less KL: %s", async (advantage) => {
    const device = await createWasmDevice({ relaxed: false });
    const model = banditModel(device);
    const first = await armLogps(model);
    const bandit = { prompts: banditPrompts, rewards: banditReward, klCoef: 0.3, maxCompletionLength: 1, perDeviceTrainBatchSize: 128 };
    await allOf(a2c(options({ ...bandit, model, advantage, learningRate: 0.02, lrSchedulerType: "linear", maxSteps: 60 })));
    expect(shareOfOptimum(await armLogps(model), first, 0.3)).toBeGreaterThan(0.95);
    await device.destroy();
  });

  test("a step reports PPO's metrics where they mean something, and frees what it allocated", async () => {
    const run = options({ maxSteps: 1, valueIterations: 2 });
    const { device, parameters } = run.model.decoder;
    parameters.grads();
    const live = device.counters.liveBytes;
    const [step] = await allOf(a2c(run));
    const { metrics, completions } = step as A2cStep;
    expect(Object.keys(metrics).sort()).toEqual(
      `completions/clipped_ratio completions/max_length completions/max_terminated_length completions/mean_length
       completions/mean_terminated_length completions/min_length completions/min_terminated_length entropy episode epoch grad_norm
       learning_rate loss loss/policy_avg loss/value_avg lr num_tokens objective/entropy objective/non_score_reward objective/rlhf_reward
       objective/scores reward reward_std rewards/spread/mean rewards/spread/std sampling/sampling_logp_difference/max
       sampling/sampling_logp_difference/mean skipped_steps val/explained_variance val/num_eos_tokens value_grad_norm`.split(/\s+/),
    );
    expect(metrics["objective/rlhf_reward"]).toBeCloseTo(metrics.reward as number, 9);
    expect(completions).toHaveLength(8);
    expect(device.counters.liveBytes).toBe(live);
  });

  test("without a critic that knows anything, every form but the TD ones weighs a token by its return (worked arithmetic)", async () => {
    // All values are 0: advantages are λ-discounted scores; a TD error and its Q are the reward of the token alone.
    const weights = async (extra: Partial<A2cOptions>) => {
      const [step] = await allOf(a2c(options({ maxSteps: 1, maxCompletionLength: 3, ...extra })));
      return (step as A2cStep).completions.map(({ reward, advantage }) => [reward as number, advantage] as const);
    };
    const share: Record<string, number> = { gae: (1 + 0.5 + 0.25) / 3, monte_carlo: 1, td: 1 / 3, q: 1 / 3 };
    for (const advantage of forms) {
      for (const [reward, weight] of await weights({ advantage, lam: 0.5 }))
        expect(weight).toBeCloseTo(reward * (share[advantage] as number), 5);
    }
  });

  test("one step is PPO's first: at ratio 1 the clip does nothing", async () => {
    const shared = {
      numGenerations: 2,
      klCoef: 0.1,
      whitenAdvantages: true,
      vfCoef: 0.1,
      temperature: 0.9,
      valueModel: "separate" as const,
    };
    const [actor, clipped] = [options({ ...shared, maxSteps: 1 }), options({ ...shared, maxSteps: 1 })];
    const [a] = await allOf(a2c(actor));
    const [b] = await allOf(ppo(clipped));
    expect(a?.metrics.grad_norm).toBeCloseTo(b?.metrics.grad_norm as number, 6);
    expect(relativeDistance(await weightsOf(actor.model), await weightsOf(clipped.model))).toBeLessThan(1e-6);
  });

  test.each(["shared", "separate"] as const)("gradients of policy and value do not depend on micro-batches: %s", async (valueModel) => {
    const movement = async (extra: Partial<A2cOptions>) => {
      const exact = { maxGradNorm: 0, adamEpsilon: 1, learningRate: 0.3, entropyCoef: 0.01, klCoef: 0.1, valueIterations: 3 };
      const run = options({ valueModel, ...exact, ...extra });
      const before = await weightsOf(run.model);
      let value: Float32Array[] = [];
      for await (const step of a2c(run)) value = await valueWeights(step);
      return {
        value,
        moved: (await weightsOf(run.model)).map((flat, i) => flat.map((w, j) => w - ((before[i] as Float32Array)[j] as number))),
      };
    };
    const whole = await movement({});
    for (const extra of [{ perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 4 }, { maxTokensPerMicroBatch: 14 }]) {
      const split = await movement(extra);
      expect(relativeDistance(split.moved, whole.moved)).toBeLessThan(1e-6);
      expect(relativeDistance(split.value, whole.value)).toBeLessThan(1e-6);
    }
  });

  test("further value steps change the value function alone", async () => {
    const after = async (valueIterations: number) => {
      const run = options({ maxSteps: 1, valueIterations });
      let value: Float32Array[] = [];
      for await (const step of a2c(run)) value = await valueWeights(step);
      return { policy: await weightsOf(run.model), value };
    };
    const [once, often] = [await after(1), await after(5)];
    expect(often.policy).toEqual(once.policy);
    expect(relativeDistance(often.value, once.value)).toBeGreaterThan(0.1);
  });

  test.each([
    [1, "shared"],
    [2, "separate"],
  ] as const)("a run resumed after step %i ends with the same bits: %s", async (at, valueModel) => {
    const fresh = () => tinyModel(createRoundedDevice());
    const whole = options({ valueModel, valueIterations: 2, klCoef: 0.1, maxSteps: 3, weightDecay: 0.01, model: fresh() });
    const metrics: Metrics[] = [];
    let resume: TrainingState | undefined;
    for await (const step of a2c(whole)) {
      metrics.push(step.metrics);
      if (step.step === at) resume = await step.state();
    }
    const run = JSON.parse(JSON.stringify(resume?.run)) as Record<string, unknown>;
    const model = fresh();
    const steps = await allOf(a2c({ ...whole, model, resume: { ...(resume as TrainingState), run } }));
    expect(steps.map((step) => step.metrics)).toEqual(metrics.slice(at));
    expect(await weightsOf(model)).toEqual(await weightsOf(whole.model));
  });

  test("bad options are listed at once; a reward that fails leaves nothing allocated", async () => {
    const bad = options({ advantage: "n-step" as "gae", valueIterations: 0, lam: 2, klCoef: -1 });
    const error = await allOf(a2c(bad)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(/`klCoef`.*`lam`.*`advantage`.*`valueIterations`/);
    const run = options({ rewards: () => [1], klCoef: 0.1 });
    const { device, parameters } = run.model.decoder;
    parameters.grads();
    const bytes = device.counters.liveBytes;
    await expect(allOf(a2c(run))).rejects.toBeInstanceOf(RewardError);
    expect(device.counters.liveBytes).toBe(bytes);
  });
});
