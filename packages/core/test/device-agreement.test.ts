/** wasm and webgpu learn the same: ten GRPO updates on recorded rollouts, and ten SFT steps, from the same weights and data. */
import type { Device } from "@trimtab/kernels";
import { afterAll, describe, expect, it } from "vitest";
import { generate } from "../src/generate/generate";
import type { Completion, GenerateOptions } from "../src/generate/options";
import { grpo } from "../src/trainers/grpo";
import { sft } from "../src/trainers/sft";
import { type DeviceName, makeDevice } from "./devices";
import { allOf, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

const NAMES: readonly DeviceName[] = ["wasm", "webgpu"];
const STEPS = 10;
const text = "the quick brown fox jumps over the lazy dog while the slow red hen sleeps under the old oak tree";

interface Run {
  readonly losses: readonly number[];
  readonly gradNorms: readonly number[];
  readonly weights: readonly Float32Array[];
}

const of = (steps: readonly { readonly metrics: Readonly<Record<string, number>> }[], name: string) =>
  steps.map(({ metrics }) => metrics[name] as number);

async function trainSft(device: Device): Promise<Run> {
  const model = tinyModel(device);
  const dataset = Array.from({ length: 8 }, (_, i) => ({ text: text.slice(i * 5, i * 5 + 40) }));
  const steps = await allOf(sft({ model, dataset, maxSteps: STEPS, learningRate: 3e-3, perDeviceTrainBatchSize: 4, seed: 3 }));
  const run = { losses: of(steps, "loss"), gradNorms: of(steps, "grad_norm"), weights: await weightsOf(model) };
  model.decoder.dispose();
  return run;
}

/** Samples with `rollOut`; everything else is the trainer's own. Passes twice over each rollout, so that ratios leave 1. */
async function trainGrpo(device: Device, rollOut: (request: GenerateOptions) => Promise<readonly Completion[]>): Promise<Run> {
  const model = tinyModel(device);
  const steps = await allOf(
    grpo({
      model,
      prompts: ["the", "a fox", "old", "hen"].map((prompt) => ({ prompt })),
      rewards: ({ completionIds }) => completionIds.map((ids) => ids.reduce((sum, id) => sum + (id % 7), 0) / ids.length),
      rolloutFunction: rollOut,
      maxSteps: STEPS,
      learningRate: 3e-3,
      perDeviceTrainBatchSize: 16,
      numGenerations: 8,
      numIterations: 2,
      maxCompletionLength: 12,
      beta: 0.04,
      seed: 3,
    }),
  );
  const run = { losses: of(steps, "loss"), gradNorms: of(steps, "grad_norm"), weights: await weightsOf(model) };
  model.decoder.dispose();
  return run;
}

function expectAgreement(a: Run, b: Run): void {
  expect(a.losses).toHaveLength(STEPS);
  a.losses.forEach((loss, i) => {
    expect(Math.abs(loss - (b.losses[i] as number))).toBeLessThan(1e-4 * Math.max(1, Math.abs(loss)));
  });
  a.gradNorms.forEach((norm, i) => {
    expect(Math.abs(norm - (b.gradNorms[i] as number)) / norm).toBeLessThan(1e-3);
  });
  // Adam divides by the gradient's own size, so where a gradient is near zero rounding alone moves a weight: hence not 1e-6
  expect(relativeDistance(a.weights, b.weights)).toBeLessThan(1e-3);
}

describe("wasm and webgpu agree", async () => {
  const made = await Promise.all(NAMES.map((name) => makeDevice(name)));
  const devices = made.filter((device): device is Device => !("missing" in device));
  const required = (process.env.REQUIRE_DEVICES ?? "").split(",");
  const missing = made.flatMap((device, i) => ("missing" in device ? [`${NAMES[i]}: ${device.missing}`] : []));
  afterAll(async () => {
    for (const device of devices) await device.destroy();
  });
  const [wasm, webgpu] = devices;
  if (!wasm || !webgpu) {
    const name = `both devices are needed (${missing.join("; ")})`;
    if (NAMES.every((n) => required.includes(n))) it(name, () => expect(missing).toEqual([]));
    else it.skip(name, () => {});
    return;
  }

  it("over ten SFT steps in loss, gradient norm and parameters", async () => {
    expectAgreement(await trainSft(wasm), await trainSft(webgpu));
  });

  it("over ten GRPO updates on one recording in loss, gradient norm and parameters", async () => {
    const recording: (readonly Completion[])[] = [];
    const recorded = await trainGrpo(wasm, async (request) => {
      const completions = await generate(request);
      recording.push(completions);
      return completions;
    });
    expect(recording).toHaveLength(STEPS / 2);
    const tape = recording[Symbol.iterator]();
    expectAgreement(recorded, await trainGrpo(webgpu, async () => tape.next().value as readonly Completion[]));
  });
});
