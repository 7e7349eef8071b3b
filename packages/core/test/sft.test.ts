/** Supervised fine-tuning: it learns, splits do not matter, resuming is not having stopped, bad input is refused before work. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import type { TrainingState } from "../src/checkpoint/state";
import { ConfigError, DataError } from "../src/errors";
import type { Metrics } from "../src/rl/metrics";
import { evaluateLoss, evaluationSequences } from "../src/trainers/evaluate";
import { type SftOptions, sft } from "../src/trainers/sft";
import { allOf, byteTokenizer, createRoundedDevice, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

const dataset = [{ text: "abcabc" }, { text: "xyzxyzxyz" }, { text: "hello" }, { prompt: "1+1=", completion: "2" }, { text: "ok" }];

const options = (extra: Partial<SftOptions> = {}): SftOptions => ({
  model: tinyModel(createReferenceDevice()),
  dataset,
  learningRate: 0.02,
  lrSchedulerType: "constant",
  maxLength: 32,
  perDeviceTrainBatchSize: 4,
  maxSteps: 5,
  ...extra,
});

describe("sft", () => {
  test("overfits a short text and frees what it allocated", async () => {
    const run = options({ dataset: [{ text: "abcab" }], maxSteps: 40, perDeviceTrainBatchSize: 1, maxGradNorm: 0 });
    const { device, parameters } = run.model.decoder;
    parameters.grads();
    const before = device.counters.liveBytes;
    const steps = await allOf(sft(run));
    expect(steps).toHaveLength(40);
    expect(steps[0]?.metrics.loss).toBeGreaterThan(5);
    expect(steps.at(-1)?.metrics.loss).toBeLessThan(0.1);
    expect(steps.at(-1)?.metrics.mean_token_accuracy).toBe(1);
    // Five targets: four letters after the first, and the end of text. The first token is predicted by nothing.
    expect(steps.at(-1)?.metrics).toMatchObject({ num_tokens: 240, epoch: 40, learning_rate: 0.02, skipped_steps: 0 });
    expect(device.counters.liveBytes).toBe(before);
  });

  test("the gradient does not depend on micro-batches, checkpointing or packing", async () => {
    const weights = async (extra: Partial<SftOptions>) => {
      const run = options({ maxSteps: 2, shuffleDataset: false, maxGradNorm: 0, ...extra });
      const [first] = await allOf(sft(run));
      return { all: await weightsOf(run.model), loss: first?.metrics.loss as number, norm: first?.metrics.grad_norm as number };
    };
    const whole = await weights({ perDeviceTrainBatchSize: 4 });
    for (const extra of [
      { perDeviceTrainBatchSize: 1, gradientAccumulationSteps: 4 },
      { perDeviceTrainBatchSize: 4, maxTokensPerMicroBatch: 11 },
      { perDeviceTrainBatchSize: 4, gradientCheckpointing: true },
    ]) {
      const split = await weights(extra);
      expect(relativeDistance(split.all, whole.all)).toBeLessThan(1e-6);
      expect(split.loss).toBeCloseTo(whole.loss, 6);
      expect(split.norm).toBeCloseTo(whole.norm, 6);
    }
    // All five rows fit one packed row of 64 tokens.
    const packed = await weights({ packing: true, maxLength: 64, perDeviceTrainBatchSize: 1 });
    const five = await weights({ perDeviceTrainBatchSize: 5 });
    expect(relativeDistance(packed.all, five.all)).toBeLessThan(1e-6);
  });

  test("one readback and no allocation left per step", async () => {
    const run = options({ maxSteps: 3, perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 2 });
    const { counters } = run.model.decoder.device;
    const seen: number[][] = [];
    for await (const _ of sft(run)) seen.push([counters.readbacks, counters.liveBytes]);
    expect(seen.map(([readbacks]) => readbacks)).toEqual([1, 2, 3]);
    expect(new Set(seen.map(([, live]) => live)).size).toBe(1);
  });

  test("a resumed run ends with the same bits", async () => {
    const same = { maxSteps: 6, perDeviceTrainBatchSize: 2, weightDecay: 0.01, lrSchedulerType: "cosine" as const };
    const fresh = (seed?: number) => tinyModel(createRoundedDevice(), seed === undefined ? {} : { seed });
    const whole = options({ ...same, model: fresh() });
    const metrics: Metrics[] = [];
    let resume: SftOptions["resume"];
    for await (const step of sft(whole)) {
      metrics.push(step.metrics);
      if (step.step === 3) resume = await step.state();
    }
    const resumed = options({ ...same, model: fresh(99), resume });
    expect((await allOf(sft(resumed))).map((s) => s.metrics)).toEqual(metrics.slice(3));
    expect(await weightsOf(resumed.model)).toEqual(await weightsOf(whole.model));
  });

  test("a step with a gradient that is not finite changes nothing and is counted", async () => {
    const run = options({ maxSteps: 3 });
    const { device, parameters } = run.model.decoder;
    const before = await weightsOf(run.model);
    const steps = [];
    for await (const step of sft(run)) {
      steps.push(step.metrics);
      if (step.step === 1) expect(relativeDistance(await weightsOf(run.model), before)).toBeGreaterThan(0);
      if (step.step === 3) expect((await step.state()).optimizer?.count).toBe(1);
      if (step.step === 1) device.write(parameters.get("norm").value, new Float32Array(16).fill(Number.POSITIVE_INFINITY));
    }
    expect(steps.map((m) => m.skipped_steps)).toEqual([0, 1, 2]);
    expect(steps[1]?.grad_norm).toBeNaN();
  });

  test("the state of a past step cannot be read", async () => {
    const steps = await allOf(sft(options({ maxSteps: 2 })));
    for (const step of steps) expect(() => step.state()).toThrow(/before the next step/);
  });

  test("every bad option is named before any work", async () => {
    const run = options({ learningRate: -1, adamBeta1: 1, maxLength: 999, packingStrategy: "best" as "bfd", maxSteps: 0 });
    const error = await allOf(sft(run)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(/maxSteps.*learningRate.*adamBeta1.*maxLength.*packingStrategy/);
    expect(run.model.decoder.device.counters.readbacks).toBe(0);
  });

  test("bad rows are named with their line", async () => {
    const fails = (rows: SftOptions["dataset"], extra: Partial<SftOptions> = {}) =>
      allOf(sft(options({ dataset: rows, ...extra }))).catch((e: unknown) => e);
    expect(await fails([])).toBeInstanceOf(DataError);
    expect(await fails([{ text: "a" }, { text: 3 }])).toMatchObject({ line: 2, field: "text" });
    expect(await fails([{ prompt: "long ".repeat(10), completion: "x" }], { maxLength: 8 })).toMatchObject({ line: 1 });
    const { decoder, tokenizer } = tinyModel(createReferenceDevice());
    const small = { decoder: Object.assign(Object.create(decoder), { config: { ...decoder.config, vocabSize: 50 } }), tokenizer };
    expect(await fails([{ text: "a" }], { model: small })).toMatchObject({ line: 1, code: "DATA" });
  });

  test("a state of another algorithm or model is refused", async () => {
    let resume: SftOptions["resume"];
    for await (const step of sft(options({ maxSteps: 1 }))) resume = await step.state();
    const state = resume as TrainingState;
    await expect(allOf(sft(options({ resume: { ...state, algorithm: "grpo" } })))).rejects.toThrow(/run of sft/);
    const weights = new Map(state.weights).set("norm", new Float32Array(3));
    await expect(allOf(sft(options({ resume: { ...state, weights } })))).rejects.toThrow(/`norm`/);
  });
});

describe("evaluateLoss", () => {
  test("equals the loss of a step, and every byte is predicted once", async () => {
    const run = options({ dataset: [{ text: "abcabc" }, { text: "hello" }], maxSteps: 1, perDeviceTrainBatchSize: 2 });
    const sequences = run.dataset.map((row) => {
      const tokens = Uint32Array.from([...byteTokenizer.encode(row.text as string), 0]);
      return { tokens, mask: new Uint8Array(tokens.length).fill(1) };
    });
    const evaluated = await evaluateLoss({ model: run.model, sequences, maxTokens: 4 });
    const [step] = await allOf(sft(run));
    expect(step?.metrics.loss).toBeCloseTo(evaluated.loss, 6);
    expect(evaluated.targets).toBe(11);

    const text = "grüße an alle 🙂";
    const held = evaluationSequences(text, byteTokenizer, 8);
    expect(held.bytes).toBe(20);
    const result = await evaluateLoss({ model: run.model, ...held });
    expect(result.targets).toBe(20);
    expect(result.bitsPerByte).toBeCloseTo(result.loss / Math.LN2, 12);
  });
});
