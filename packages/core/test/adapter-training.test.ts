/** Training adapters: only they change, the reference is the base, checkpoints hold only what is trained, and resuming equals never having stopped. */
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, it } from "vitest";
import { loadAdapter } from "../src/checkpoint/adapter-files";
import { loadState, saveState } from "../src/checkpoint/state";
import type { Decoder } from "../src/models/decoder";
import { newLora } from "../src/models/lora";
import type { LoraOptions } from "../src/models/lora-options";
import { newScalarModel, scalarModel } from "../src/models/scalar-model";
import type { RewardFunction } from "../src/rl/rewards";
import { dpo } from "../src/trainers/dpo";
import { grpo } from "../src/trainers/grpo";
import { reward } from "../src/trainers/reward";
import { sft } from "../src/trainers/sft";
import { MemoryDirectory } from "./fixture-files";
import { allOf, createRoundedDevice, tinyModel } from "./trainer-model";

const texts = ["abab", "abba", "aabb", "baba"].map((text) => ({ text }));
const pairs = [
  { prompt: "a", chosen: "bb", rejected: "aa" },
  { prompt: "b", chosen: "ba", rejected: "ab" },
];
const options: LoraOptions = { targetModules: "all-linear", r: 4, loraAlpha: 8, loraDropout: 0.1 };
const training = { learningRate: 5e-2, perDeviceTrainBatchSize: 2, maxSteps: 4, shuffleDataset: false } as const;

/** A tiny model with an adapter; the base's bits for later. */
async function adaptedModel(device: Device = createReferenceDevice(), lora: LoraOptions = options, initializerRange = 0.1) {
  const base = tinyModel(device, { initializerRange });
  const before = await bitsOf(base.decoder);
  return { device, base, before, model: { ...base, decoder: base.decoder.withAdapter(newLora(base.decoder, lora)) } };
}

const bitsOf = ({ device, parameters }: Decoder) => Promise.all(parameters.shards.map((shard) => device.read(shard)));
const trainedBits = ({ device, trainable }: Decoder) => Promise.all(trainable.shards.map((shard) => device.read(shard)));

describe("supervised", () => {
  it("lowers the loss, and changes nothing of the base", async () => {
    const { base, model, before } = await adaptedModel();
    const start = await trainedBits(model.decoder);
    const steps = await allOf(sft({ ...training, model, dataset: texts, maxSteps: 30 }));
    expect(steps.at(-1)?.metrics.loss).toBeLessThan(0.9 * (steps[0]?.metrics.loss as number));
    expect(await bitsOf(base.decoder)).toEqual(before);
    expect(await trainedBits(model.decoder)).not.toEqual(start);
    expect(base.decoder.parameters.all.every(({ grad }) => grad === undefined)).toBe(true);
  });

  it("a checkpoint holds the adapter and its optimiser alone, is PEFT's directory, and resumes to the same bits, dropout included", async () => {
    const whole = await adaptedModel(createRoundedDevice());
    await allOf(sft({ ...training, model: whole.model, dataset: texts }));

    const first = await adaptedModel(createRoundedDevice());
    const directory = new MemoryDirectory();
    const { config, adapter } = first.model.decoder;
    for await (const step of sft({ ...training, model: first.model, dataset: texts })) {
      if (step.step < 2) continue;
      await saveState(await step.state(), { tokenizer: first.model.tokenizer, config, adapter }, directory);
      break;
    }
    expect([...directory.files.keys()].sort()).toEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
      "manifest.json",
      "others.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
      "trainer_state.json",
    ]);
    const trained = adapter?.parameters.count as number;
    // The adapter for PEFT, and for the run: values and two moments.
    expect(directory.files.get("others.safetensors")?.length).toBeLessThan(3 * 4 * trained + 20_000);
    const loaded = await loadAdapter(first.base.decoder, directory);
    expect(await trainedBits(first.base.decoder.withAdapter(loaded))).toEqual(await trainedBits(first.model.decoder));

    const second = await adaptedModel(createRoundedDevice());
    const resume = await loadState(directory);
    await allOf(sft({ ...training, model: second.model, dataset: texts, resume }));
    expect(await trainedBits(second.model.decoder)).toEqual(await trainedBits(whole.model.decoder));

    // Another adapter, or none, cannot go on with it.
    const other = await adaptedModel(createRoundedDevice(), { r: 2 });
    await expect(allOf(sft({ ...training, model: other.model, dataset: texts, resume }))).rejects.toThrow(/Resume with the model/);
    await expect(allOf(sft({ ...training, model: other.base, dataset: texts, resume }))).rejects.toThrow(/Resume with the model/);
  });
});

describe("with a reference", () => {
  it("DPO starts at ln 2 exactly, takes no second copy of the base, and leaves it alone", async () => {
    const { device, base, before, model } = await adaptedModel(createRoundedDevice(), { ...options, loraDropout: 0 });
    const weights = base.decoder.parameters.shards.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    const live = device.counters.liveBytes;
    const steps = [];
    let most = 0;
    for await (const step of dpo({ ...training, model, dataset: pairs })) {
      steps.push(step);
      most = Math.max(most, device.counters.liveBytes - live);
    }
    expect(steps[0]?.metrics.loss).toBe(Math.fround(Math.LN2));
    expect(steps[0]?.metrics["rewards/margins"]).toBe(0);
    expect(steps.at(-1)?.metrics["rewards/margins"]).toBeGreaterThan(0.01);
    expect(most).toBeLessThan(weights);
    expect(await bitsOf(base.decoder)).toEqual(before);
    await expect(allOf(dpo({ ...training, model, dataset: pairs, syncRefModel: true }))).rejects.toThrow(
      /syncRefModel.*reference is the base/,
    );
    await expect(allOf(dpo({ ...training, model, dataset: pairs, precomputeRefLogProbs: true, maxSteps: 1 }))).resolves.toHaveLength(1);
  });

  it("GRPO raises its reward; its KL to the base is 0 at the first step and not later", async () => {
    // Weights large enough that a change of the hidden states can choose among tokens.
    const { base, before, model } = await adaptedModel(createRoundedDevice(), { ...options, loraDropout: 0 }, 0.6);
    const rewards: RewardFunction = ({ completionIds }) => completionIds.map((ids) => [...ids].filter((id) => id % 2 === 0).length);
    const steps = await allOf(
      grpo({
        ...training,
        model,
        prompts: [{ prompt: "a" }, { prompt: "b" }],
        rewards,
        beta: 0.01,
        numGenerations: 8,
        perDeviceTrainBatchSize: 16,
        maxCompletionLength: 6,
        maxSteps: 30,
        learningRate: 0.1,
        lrSchedulerType: "constant",
      }),
    );
    expect(steps[0]?.metrics.kl).toBe(0);
    expect(steps.at(-1)?.metrics.kl).toBeGreaterThan(0);
    const mean = (some: typeof steps) => some.reduce((sum, { metrics }) => sum + (metrics.reward as number), 0) / some.length;
    expect(mean(steps.slice(-5))).toBeGreaterThan(mean(steps.slice(0, 5)) + 0.3);
    expect(await bitsOf(base.decoder)).toEqual(before);
  });
});

it("a reward model trains its score head beside the adapter, and both are in PEFT's file", async () => {
  const base = tinyModel(createReferenceDevice());
  const { decoder } = newScalarModel(base, 3);
  const adapted = decoder.withAdapter(newLora(decoder, options));
  const before = await bitsOf(decoder);
  const model = scalarModel({ decoder: adapted, tokenizer: base.tokenizer });
  const steps = await allOf(reward({ ...training, model, dataset: pairs, maxSteps: 10 }));
  expect(steps.at(-1)?.metrics.loss).toBeLessThan(0.8 * (steps[0]?.metrics.loss as number));
  expect(await bitsOf(decoder)).toEqual(before);
  expect(adapted.trainable.all.some(({ name }) => name === "score")).toBe(true);
});
