/** The trainers' promises on every device: splits change rounding only, a fresh ratio is exactly 1, resuming gives the same bits. */
import type { Device } from "@trimtab/kernels";
import { expect, test } from "vitest";
import type { TrainingState } from "../src/checkpoint/state";
import type { Metrics } from "../src/rl/metrics";
import { type GrpoOptions, grpo } from "../src/trainers/grpo";
import { sft } from "../src/trainers/sft";
import type { TrainingModel } from "../src/trainers/training-model";
import { describeDevices } from "./devices";
import { allOf, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

const spread = ({ completionIds }: { completionIds: readonly Uint32Array[] }) => completionIds.map((ids) => (ids[0] as number) % 7);

const options = (model: TrainingModel, extra: Partial<GrpoOptions>): GrpoOptions => ({
  model,
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

/** Trains a fresh model and returns how its weights moved. */
async function movement(device: Device, extra: Partial<GrpoOptions>): Promise<Float32Array[]> {
  const model = tinyModel(device);
  const before = await weightsOf(model);
  // A large epsilon makes Adam's step proportional to the gradient.
  await allOf(
    grpo(options(model, { maxGradNorm: 0, adamEpsilon: 1, learningRate: 1, maxSteps: 1, beta: 0.1, entropyCoef: 0.01, ...extra })),
  );
  const after = await weightsOf(model);
  model.decoder.dispose();
  return after.map((flat, shard) => flat.map((value, i) => value - ((before[shard] as Float32Array)[i] as number)));
}

describeDevices("trainers", (device, name) => {
  test("learns from reward and from text, one readback a step, nothing left behind", async () => {
    const model = tinyModel(device);
    model.decoder.parameters.grads();
    const live = device.counters.liveBytes;
    const low = ({ completionIds }: { completionIds: readonly Uint32Array[] }) =>
      completionIds.map((ids) => ids.filter((id) => id < 40).length / ids.length);
    const rewards = (
      await allOf(grpo(options(model, { rewards: low, learningRate: 0.05, maxSteps: 12, perDeviceTrainBatchSize: 24, numGenerations: 8 })))
    ).map((step) => step.metrics.reward as number);
    expect((rewards.at(-1) as number) - (rewards[0] as number)).toBeGreaterThan(0.25);

    const readbacks: number[] = [];
    const losses: number[] = [];
    for await (const step of sft({ model, dataset: [{ text: "abcab" }], maxSteps: 30, learningRate: 0.03, lrSchedulerType: "constant" })) {
      readbacks.push(device.counters.readbacks);
      losses.push(step.metrics.loss as number);
    }
    expect(losses.at(-1)).toBeLessThan(0.5);
    expect((readbacks.at(-1) as number) - (readbacks[0] as number)).toBe(29);
    expect(device.counters.liveBytes).toBe(live);
    model.decoder.dispose();
  });

  test.each(["token", "sequence"] as const)("splits change rounding only, at %s level", async (importanceSamplingLevel) => {
    const whole = await movement(device, { importanceSamplingLevel });
    for (const extra of [{ perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 4 }, { gradientCheckpointing: true }]) {
      expect(relativeDistance(await movement(device, { importanceSamplingLevel, ...extra }), whole)).toBeLessThan(1e-6);
    }
  });

  test("a ratio on fresh completions is exactly 1, and the sampler agrees with the training pass", async () => {
    const model = tinyModel(device);
    const [step] = await allOf(grpo(options(model, { maxSteps: 1, epsilon: 1e-30, logKl: true })));
    expect(step?.metrics["clip_ratio/region_mean"]).toBe(0);
    expect(step?.metrics.kl).toBeLessThan(1e-9);
    expect(step?.metrics["sampling/sampling_logp_difference/max"]).toBeLessThan(2e-5);
    model.decoder.dispose();
  });

  test.skipIf(name === "reference")("a resumed run ends with the same bits", async () => {
    const settings = { maxSteps: 6, perDeviceTrainBatchSize: 4, stepsPerGeneration: 2, numIterations: 2, beta: 0.05, weightDecay: 0.01 };
    const whole = tinyModel(device);
    const metrics: Metrics[] = [];
    let resume: TrainingState | undefined;
    for await (const step of grpo(options(whole, settings))) {
      metrics.push(step.metrics);
      if (step.step === 3) resume = await step.state();
    }
    const resumed = tinyModel(device);
    const steps = await allOf(grpo(options(resumed, { ...settings, resume })));
    expect(steps.map((step) => step.metrics)).toEqual(metrics.slice(3));
    expect(await weightsOf(resumed)).toEqual(await weightsOf(whole));
    whole.decoder.dispose();
    resumed.decoder.dispose();
  });
});
