/** A real model, stories260K: full fine-tuning and LoRA each lower its perplexity on text it has not seen; GRPO on an adapter raises its reward. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Device, evaluatePolicy, grpo, inspectCompletion, type LanguageModel, newLora, type RewardFunction, sft } from "@trimtab/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDevice, loadModel } from "../src/index";

const data = (path: string) => fileURLToPath(new URL(`../../../../shared/data/${path}`, import.meta.url));
const MODEL = data("weights/stories260K");
const TEXT = data("text/tinyshakespeare.txt");
const isHere = existsSync(MODEL) && existsSync(TEXT);

/** Children's stories are all it knows: Shakespeare is new to it, and what comes after what it learns from is held out. */
const shakespeare = isHere ? readFileSync(TEXT, "utf8") : "";
const LEARNED = Array.from({ length: 36 }, (_, i) => ({ text: shakespeare.slice(i * 300, (i + 1) * 300) }));
const HELD_OUT = Array.from({ length: 4 }, (_, i) => shakespeare.slice(1_000_000 + i * 20_000, 1_000_000 + i * 20_000 + 400));
const OPENINGS = ["Once upon a time", "One day, a girl named Lily", "Tom and his dog", "The little bird"].map((prompt) => ({ prompt }));

/** Sentences about her. */
const about: RewardFunction = ({ completions }) =>
  completions.map((completion) => Math.min(3, (completion as string).match(/\b(she|her)\b/gi)?.length ?? 0));

describe.skipIf(!isHere)(`stories260K${isHere ? "" : " (skipped: its weights and tinyshakespeare are not in ../shared/data)"}`, () => {
  let device: Device;
  beforeAll(async () => {
    // The same bits everywhere, so that the figures in docs/models.md are these.
    device = await createDevice("wasm", { threads: 1, relaxed: false });
  });
  afterAll(() => device?.destroy());

  const logpsOf = async (model: LanguageModel): Promise<number[]> => {
    const all: number[] = [];
    for (const text of HELD_OUT) {
      const { logps } = await inspectCompletion({ model, prompt: text.slice(0, 20), completion: text.slice(20) });
      // The end of the text, the last token, is only where it was cut.
      all.push(...logps.subarray(0, -1));
    }
    return all;
  };
  const perplexity = async (model: LanguageModel) => {
    const all = await logpsOf(model);
    return Math.exp(-all.reduce((sum, logp) => sum + logp, 0) / all.length);
  };
  const adapted = (base: LanguageModel) => {
    const lora = newLora(base.decoder, { r: 8, loraAlpha: 16, targetModules: "all-linear", seed: 1 });
    return { ...base, decoder: base.decoder.withAdapter(lora) };
  };
  const learn = async (model: LanguageModel, learningRate: number) => {
    const options = { maxSteps: 6, perDeviceTrainBatchSize: 6, maxLength: 256, seed: 1 };
    for await (const _ of sft({ model, dataset: LEARNED, learningRate, ...options }));
  };

  it("learns text it has not seen, in full and by an adapter", async () => {
    const base = await loadModel(MODEL, { device });
    const before = await perplexity(base);
    const kept = await logpsOf(base);
    const lora = adapted(base);
    expect(await perplexity(lora)).toBe(before);
    await learn(lora, 1e-2);
    const byLora = await perplexity(lora);
    expect(await logpsOf(base)).toEqual(kept);
    lora.decoder.dispose();
    await learn(base, 2e-3);
    const inFull = await perplexity(base);
    // 111.3, 38.1 and 36.5 when this was written.
    expect(before).toBeGreaterThan(80);
    expect(byLora).toBeLessThan(0.4 * before);
    expect(inFull).toBeLessThan(0.4 * before);
    base.decoder.dispose();
  });

  it("earns more by GRPO on an adapter, and its base stays as it is, bit for bit", async () => {
    const base = await loadModel(MODEL, { device });
    const kept = await logpsOf(base);
    const model = adapted(base);
    const sampling = { numGenerations: 8, maxCompletionLength: 24, seed: 1 };
    const measured = async () =>
      (await evaluatePolicy({ model, prompts: OPENINGS, rewards: [about], reference: base, ...sampling, seed: 7 })).reward;
    const before = await measured();
    for await (const _ of grpo({
      model,
      prompts: OPENINGS,
      rewards: [about],
      ...sampling,
      perDeviceTrainBatchSize: 32,
      maxSteps: 5,
      learningRate: 1e-2,
      beta: 0.02,
    }));
    const after = await measured();
    // 0.375 and 3, the most there is, when this was written; `low` and `high` bound 95 % of the means of resampled prompts.
    expect(after?.low).toBeGreaterThan(before?.high as number);
    expect(await logpsOf(base)).toEqual(kept);
    expect(await logpsOf(model)).not.toEqual(kept);
    model.decoder.dispose();
    base.decoder.dispose();
  });
});
