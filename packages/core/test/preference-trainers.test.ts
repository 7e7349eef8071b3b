/** The preference trainers: they order held-out pairs, splits do not matter, resuming is not having stopped, first steps are as derived. */
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { afterAll, describe, expect, test } from "vitest";
import type { TrainingState } from "../src/checkpoint/state";
import type { DatasetRow } from "../src/data/jsonl";
import { ConfigError } from "../src/errors";
import { Decoder } from "../src/models/decoder";
import { bco } from "../src/trainers/bco";
import { cpo } from "../src/trainers/cpo";
import { type DpoOptions, dpo } from "../src/trainers/dpo";
import { evaluatePreferences } from "../src/trainers/evaluate-preferences";
import type { FeedbackOptions } from "../src/trainers/feedback-options";
import { kto } from "../src/trainers/kto";
import { orpo } from "../src/trainers/orpo";
import { sequenceLogps } from "../src/trainers/sequence-logps";
import type { TrainingModel } from "../src/trainers/training-model";
import type { TrainingStep } from "../src/trainers/training-steps";
import { allOf, byteTokenizer, createRoundedDevice, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

/** The taste to learn: after a letter, what is polite. Held-out letters were never seen. */
const row = (letter: string): DatasetRow => ({ prompt: `${letter}:`, chosen: "yes please", rejected: "no way" });
const dataset = [..."abcdefgh"].map(row);
const heldOut = [..."stuvwxyz"].map(row);
/** Where averages are compared, the model's start prefers what is polite: the other taste is to be learned then. */
const contrary = (rows: readonly DatasetRow[]) =>
  rows.map(({ prompt, chosen, rejected }) => ({ prompt, chosen: rejected, rejected: chosen }));
type Trainer = (options: FeedbackOptions) => AsyncGenerator<TrainingStep>;
type More = Record<string, unknown>;
const trainers: Record<string, Trainer> = { dpo, kto, bco, orpo, cpo } as unknown as Record<string, Trainer>;

const options = (model: TrainingModel, extra: More = {}): FeedbackOptions & More => ({
  model,
  dataset,
  learningRate: 0.01,
  lrSchedulerType: "constant",
  maxLength: 32,
  perDeviceTrainBatchSize: 4,
  maxSteps: 3,
  ...extra,
});

const LN2 = Math.log(2);

let wasm: Device | undefined;
afterAll(() => wasm?.destroy());

const variants: [string, string, More][] = [
  ["dpo", "sigmoid", {}],
  ["dpo", "ipo and sft, weighted", { lossType: ["ipo", "sft"], lossWeights: [0.01, 0.5] }],
  ["dpo", "aot", { lossType: "aot" }],
  ["dpo", "aot_unpaired", { lossType: "aot_unpaired" }],
  ["dpo", "forward_kl with LD-DPO and WPO", { fDivergenceType: "forward_kl", ldAlpha: 0.5, useWeighting: true }],
  ["kto", "kto", {}],
  ["kto", "apo_zero_unpaired, weighted", { lossType: "apo_zero_unpaired", desirableWeight: 1.2 }],
  ["bco", "bco", {}],
  ["bco", "with density ratios", { promptLogit: ({ prompt }: DatasetRow) => (prompt === "a:" ? 1 : -0.2) }],
  ["orpo", "orpo", { beta: 0.5 }],
  ["cpo", "sigmoid", {}],
  ["cpo", "simpo", { lossType: "simpo", beta: 2, cpoAlpha: 0 }],
  ["cpo", "alphapo", { lossType: "alphapo", alpha: 0.25, beta: 2 }],
];

describe.each(variants)("%s: %s", (name, _title, extra) => {
  const trainer = trainers[name] as Trainer;

  test("orders held-out pairs, which it did not before", async () => {
    wasm ??= await createWasmDevice({ relaxed: false });
    const [model, initial] = [tinyModel(wasm), tinyModel(wasm)];
    const hasReference = name !== "orpo" && name !== "cpo";
    const averages = extra.lossType === "simpo" || extra.lossType === "alphapo";
    const taste = (rows: readonly DatasetRow[]) => (averages ? contrary(rows) : rows);
    const accuracy = async () => {
      const reference = hasReference ? initial : undefined;
      const { metrics } = await evaluatePreferences({ model, dataset: taste(heldOut), reference, averages });
      return metrics["rewards/accuracies"];
    };
    expect(await accuracy()).toBeLessThan(1);
    const steps = await allOf(trainer(options(model, { dataset: taste(dataset), maxSteps: 20, ...extra })));
    expect(steps.at(-1)?.metrics.loss).toBeLessThan(steps[0]?.metrics.loss as number);
    expect(await accuracy()).toBe(1);
    for (const { decoder } of [model, initial]) decoder.dispose();
  });

  test("the gradient does not depend on micro-batches or checkpointing", async () => {
    const first = async (more: More) => {
      const model = tinyModel(createReferenceDevice());
      const [step] = await allOf(trainer(options(model, { ...extra, maxSteps: 1, shuffleDataset: false, maxGradNorm: 0, ...more })));
      return { weights: await weightsOf(model), metrics: step?.metrics as Record<string, number> };
    };
    const whole = await first({ perDeviceTrainBatchSize: 6 });
    for (const more of [
      { perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 3 },
      { perDeviceTrainBatchSize: 6, maxTokensPerMicroBatch: 30, gradientCheckpointing: true },
    ]) {
      const split = await first(more);
      expect(relativeDistance(split.weights, whole.weights)).toBeLessThan(1e-6);
      for (const [metric, value] of Object.entries(whole.metrics)) expect(split.metrics[metric], metric).toBeCloseTo(value, 6);
    }
  });

  test("a resumed run ends with the same bits, and nothing is left allocated", async () => {
    const same = { ...extra, maxSteps: 3, perDeviceTrainBatchSize: 2, lrSchedulerType: "cosine" };
    const whole = tinyModel(createRoundedDevice());
    whole.decoder.parameters.grads();
    const live = whole.decoder.device.counters.liveBytes;
    const metrics: unknown[] = [];
    let resume: TrainingState | undefined;
    for await (const step of trainer(options(whole, same))) {
      metrics.push(step.metrics);
      if (step.step === 1) resume = await step.state();
    }
    expect(whole.decoder.device.counters.liveBytes).toBe(live);
    const resumed = tinyModel(createRoundedDevice());
    expect((await allOf(trainer(options(resumed, { ...same, resume })))).map((s) => s.metrics)).toEqual(metrics.slice(1));
    expect(await weightsOf(resumed)).toEqual(await weightsOf(whole));
  });
});

describe("first steps, where the policy is its own reference", () => {
  const first = async (name: string, extra: More) => {
    const [step] = await allOf((trainers[name] as Trainer)(options(tinyModel(createReferenceDevice()), { maxSteps: 1, ...extra })));
    return step?.metrics as Record<string, number>;
  };

  test("DPO: ln 2, and every reward is 0", async () => {
    const metrics = await first("dpo", {});
    expect(metrics.loss).toBeCloseTo(LN2, 6);
    for (const name of ["rewards/chosen", "rewards/rejected", "rewards/margins"]) expect(metrics[name]).toBeCloseTo(0, 6);
    expect(metrics["logps/chosen"]).toBeLessThan(metrics["logps/rejected"] as number);
    expect(metrics.entropy).toBeGreaterThan(4);
    // 4 pairs of "a:" with "yes please" and "no way", an end of text each.
    expect(metrics.num_tokens).toBe(4 * (2 + 11 + 2 + 7));
  });

  test("KTO: half of the mean weight, with a KL of 0", async () => {
    const metrics = await first("kto", { desirableWeight: 1.5, undesirableWeight: 0.5, perDeviceTrainBatchSize: 16 });
    expect(metrics.loss).toBeCloseTo(0.5, 6);
    expect(metrics.kl).toBeCloseTo(0, 6);
    expect(metrics["rewards/margins"]).toBeCloseTo(0, 6);
  });

  test("BCO: ln 2, with a baseline of 0", async () => {
    const metrics = await first("bco", {});
    expect(metrics.loss).toBeCloseTo(LN2, 6);
    expect(metrics.delta).toBeCloseTo(0, 6);
  });

  test("ORPO and CPO: their parts add up", async () => {
    const orpoMetrics = await first("orpo", { beta: 0.3 });
    expect(orpoMetrics.loss).toBeCloseTo((orpoMetrics.nll_loss as number) - 0.3 * (orpoMetrics.log_odds_ratio as number), 6);
    const onCompletion = await first("orpo", { beta: 0.3, completionOnlyLoss: true });
    expect(onCompletion.log_odds_ratio).toBeCloseTo(orpoMetrics.log_odds_ratio as number, 6);
    expect(onCompletion.nll_loss).not.toBeCloseTo(orpoMetrics.nll_loss as number, 3);
    const cpoMetrics = await first("cpo", { cpoAlpha: 2 });
    const without = await first("cpo", { cpoAlpha: 0 });
    expect(cpoMetrics.loss).toBeCloseTo((without.loss as number) + 2 * (cpoMetrics.nll_loss as number), 6);
    expect(cpoMetrics.nll_loss).toBeCloseTo(onCompletion.nll_loss as number, 6);
  });
});

describe("second steps report what the model after the first makes of the data", () => {
  /** Metrics of the second of two steps on the whole dataset, and the model between them. */
  const second = async (name: string, extra: More = {}) => {
    const model = tinyModel(createReferenceDevice());
    const whole = { perDeviceTrainBatchSize: 16, shuffleDataset: false, ...extra };
    await allOf((trainers[name] as Trainer)(options(model, { ...whole, maxSteps: 1 })));
    const steps = await allOf((trainers[name] as Trainer)(options(tinyModel(createReferenceDevice()), { ...whole, maxSteps: 2 })));
    return { model, initial: tinyModel(model.decoder.device), metrics: steps[1]?.metrics as Record<string, number> };
  };
  const sumsOf = async (model: TrainingModel, texts: readonly [string, string][]) => {
    const sequences = texts.map(([prompt, completion]) => {
      const [head, tail] = [byteTokenizer.encode(prompt), [...byteTokenizer.encode(completion), 0]];
      return { tokens: Uint32Array.from([...head, ...tail]), mask: Uint8Array.from([...head.fill(0), ...tail.map(() => 1)]) };
    });
    return sequenceLogps(model.decoder, sequences, { rows: 100, tokens: 10_000 });
  };
  const meanDifference = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x - (b[i] as number), 0) / a.length;

  test("DPO's rewards and log-probabilities", async () => {
    const { model, initial, metrics } = await second("dpo", { perDeviceTrainBatchSize: 8 });
    const evaluated = await evaluatePreferences({ model, dataset, reference: initial });
    expect(Math.abs(evaluated.metrics["rewards/chosen"] as number)).toBeGreaterThan(1e-3);
    for (const [name, value] of Object.entries(evaluated.metrics)) expect(metrics[name], name).toBeCloseTo(value, 5);
  });

  test("KTO's KL, over each prompt with the next prompt's completion, and its rewards", async () => {
    const { model, initial, metrics } = await second("kto");
    // All chosen rows come first, then all rejected ones; each prompt meets the next row's completion, the last one the first row's.
    const completions = [...dataset.map(() => "yes please"), ...dataset.map(() => "no way")];
    const prompts = [...dataset, ...dataset].map(({ prompt }) => prompt as string);
    const mismatched = prompts.map((prompt, i): [string, string] => [prompt, completions[(i + 1) % 16] as string]);
    const expected = meanDifference(await sumsOf(model, mismatched), await sumsOf(initial, mismatched));
    expect(expected).toBeGreaterThan(1e-3);
    expect(metrics.kl).toBeCloseTo(expected, 5);
    const evaluated = await evaluatePreferences({ model, dataset, reference: initial });
    for (const name of ["rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "logps/rejected"]) {
      expect(metrics[name], name).toBeCloseTo(evaluated.metrics[name] as number, 5);
    }
  });

  test("BCO's baseline: the mean of the steps' mean rewards, of which the first is 0", async () => {
    const { model, initial, metrics } = await second("bco");
    const all = dataset.flatMap(({ prompt, chosen, rejected }) =>
      [chosen, rejected].map((text): [string, string] => [prompt as string, text as string]),
    );
    const meanReward = 0.1 * meanDifference(await sumsOf(model, all), await sumsOf(initial, all));
    expect(Math.abs(meanReward)).toBeGreaterThan(1e-4);
    expect(metrics.delta).toBeCloseTo(meanReward / 2, 5);
  });

  test("ORPO's and CPO's log-probabilities and rewards", async () => {
    const cpoRun = await second("cpo", { perDeviceTrainBatchSize: 8, beta: 0.3 });
    const sums = await evaluatePreferences({ model: cpoRun.model, dataset, beta: 0.3 });
    for (const [name, value] of Object.entries(sums.metrics)) expect(cpoRun.metrics[name], name).toBeCloseTo(value, 4);
    const orpoRun = await second("orpo", { perDeviceTrainBatchSize: 8, beta: 0.3 });
    const averages = await evaluatePreferences({ model: orpoRun.model, dataset, beta: 0.3, averages: true });
    for (const [name, value] of Object.entries(averages.metrics)) expect(orpoRun.metrics[name], name).toBeCloseTo(value, 4);
  });
});

describe("the reference", () => {
  test("computed beforehand it gives the same steps, for another model too", async () => {
    const other = tinyModel(createReferenceDevice(), { seed: 17 });
    const run = async (extra: Partial<DpoOptions>) => {
      const model = tinyModel(other.decoder.device);
      const steps = await allOf(dpo({ ...options(model), ...extra }));
      return { metrics: steps.map((s) => s.metrics), weights: await weightsOf(model) };
    };
    for (const reference of ["initial", other] as const) {
      const [online, before] = [await run({ reference }), await run({ reference, precomputeRefLogProbs: true })];
      expect(relativeDistance(before.weights, online.weights)).toBeLessThan(1e-7);
      expect(online.metrics[0]?.loss).toBeCloseTo(before.metrics[0]?.loss as number, 7);
      if (reference === other) expect(Math.abs((online.metrics[0]?.loss as number) - LN2)).toBeGreaterThan(1e-3);
    }
  });

  test("one that follows the policy all the way makes every second step a first one", async () => {
    const model = tinyModel(createReferenceDevice());
    const steps = await allOf(dpo({ ...options(model, { maxSteps: 5 }), syncRefModel: true, refModelMixupAlpha: 1, refModelSyncSteps: 2 }));
    const distances = steps.map(({ metrics }) => Math.abs((metrics.loss as number) - LN2));
    for (const [i, distance] of distances.entries()) {
      if (i % 2 === 0) expect(distance).toBeLessThan(1e-6);
      else expect(distance).toBeGreaterThan(1e-4);
    }
  });

  test("one that moves is part of the state", async () => {
    const same = { maxSteps: 4, syncRefModel: true, refModelSyncSteps: 1 };
    const whole = tinyModel(createRoundedDevice());
    const metrics: unknown[] = [];
    let resume: TrainingState | undefined;
    for await (const step of dpo({ ...options(whole), ...same })) {
      metrics.push(step.metrics);
      if (step.step === 2) resume = await step.state();
    }
    expect([...(resume as TrainingState).others.keys()]).toEqual(["reference"]);
    const resumed = tinyModel(createRoundedDevice());
    expect((await allOf(dpo({ ...options(resumed), ...same, resume }))).map((s) => s.metrics)).toEqual(metrics.slice(2));
  });
});

describe("what is refused before any work", () => {
  const fails = async (name: string, extra: More) => {
    const model = tinyModel(createReferenceDevice());
    const error = await allOf((trainers[name] as Trainer)(options(model, extra))).catch((e: unknown) => e);
    expect(model.decoder.device.counters.readbacks).toBe(0);
    return error as Error;
  };

  test("every bad option at once", async () => {
    const error = await fails("dpo", {
      beta: 0,
      lossType: ["sigmoid", "best"],
      lossWeights: [1],
      fDivergenceType: "none",
      ldAlpha: 2,
      maxLength: 1,
      syncRefModel: true,
      precomputeRefLogProbs: true,
    });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/maxLength.*syncRefModel.*beta.*lossType.*lossWeights.*fDivergenceType.*ldAlpha/);
    expect((await fails("dpo", { lossType: "exo_pair" })).message).toMatch(/labelSmoothing.*exo_pair/);
    expect((await fails("dpo", { lossType: "robust", labelSmoothing: 0.5 })).message).toMatch(/below 0.5 for robust/);
    expect((await fails("cpo", { lossType: "alphapo" })).message).toMatch(/alpha.*alphapo/);
    expect((await fails("kto", { lossType: "kt" })).message).toMatch(/lossType/);
    expect((await fails("bco", { minDensityRatio: 3, maxDensityRatio: 2 })).message).toMatch(/maxDensityRatio/);
  });

  test("a reference of another vocabulary, in evaluation too", async () => {
    const model = tinyModel(createReferenceDevice());
    const { device, config } = model.decoder;
    const decoder = new Decoder(device, { ...config, vocabSize: 300 });
    await expect(evaluatePreferences({ model, dataset, reference: { decoder } })).rejects.toThrow(
      /`reference`.*vocabulary size 257, got 300/,
    );
  });

  test("rows that are no preferences, and a single prompt for KTO", async () => {
    expect(await fails("dpo", { dataset: [{ prompt: "a", chosen: "b" }] })).toMatchObject({ code: "DATA", line: 1, field: "rejected" });
    expect((await fails("kto", { dataset: [row("a")] })).message).toMatch(/two different prompts/);
    const unpaired = [{ prompt: "a", completion: "b", label: "good" }];
    expect(await fails("kto", { dataset: unpaired })).toMatchObject({ line: 1, field: "label" });
  });
});
