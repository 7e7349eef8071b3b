/** Reward and process reward models: they learn from every format, splits and resuming do not matter, and they become reward functions. */
import { type Device, ops } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { afterAll, describe, expect, test } from "vitest";
import type { TrainingState } from "../src/checkpoint/state";
import type { DatasetRow } from "../src/data/jsonl";
import { ConfigError } from "../src/errors";
import { newScalarModel, type ScalarModel } from "../src/models/scalar-model";
import { fitNormalization } from "../src/rl/reward-normalization";
import type { RewardDetail } from "../src/rl/rewards";
import { evaluateRewardModel } from "../src/trainers/evaluate-reward-model";
import type { TrainingOptions } from "../src/trainers/options";
import { prm } from "../src/trainers/prm";
import { reward } from "../src/trainers/reward";
import { processRewardFunction, rewardModelFunction, stepEnds } from "../src/trainers/reward-model-function";
import { scoreSequences } from "../src/trainers/score-sequences";
import type { TrainingStep } from "../src/trainers/training-steps";
import { rewardsOf } from "./reward-arguments";
import { allOf, byteTokenizer, createRoundedDevice, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

const letters = [..."abcdef"];
/** Better the more it pleases. */
const answers = ["yes please", "well, maybe", "no way"];

const pairs = letters.map((letter) => ({ prompt: `${letter}:`, chosen: answers[0], rejected: answers[2] }));
const withMargins = pairs.map((row, i) => ({ ...row, margin: i % 2 }));
const lists = letters.map((letter, i) => {
  const order = [i % 3, (i + 1) % 3, (i + 2) % 3];
  return { prompt: `${letter}:`, completions: order.map((k) => answers[k]), ranks: order.map((k) => k + 1) };
});
const tiedLists = lists.map((row) => ({ ...row, ranks: row.ranks.map((rank) => Math.max(1, rank - 1)) }));
const ratings = letters.flatMap((letter) => answers.map((completion, k) => ({ prompt: `${letter}:`, completion, rating: 2 - k })));
const labels = letters.flatMap((letter) => [0, 2].map((k) => ({ prompt: `${letter}:`, completion: answers[k], label: k === 0 })));
const heldOut = [..."uvwxyz"].map((letter) => ({ prompt: `${letter}:`, chosen: answers[0], rejected: answers[2] }));
const steps = letters.map((letter) => ({ prompt: `${letter}:`, completions: ["fine", "bad", "fine"], labels: [true, false, true] }));
const stepRewards = letters.map((letter) => ({ prompt: `${letter}:`, completions: ["fine", "bad"], rewards: [1, -1] }));

type More = Record<string, unknown>;
const newModel = (device: Device): ScalarModel => {
  const base = tinyModel(device);
  const model = newScalarModel(base, 3);
  base.decoder.dispose();
  return model;
};
const options = (model: ScalarModel, dataset: readonly DatasetRow[], extra: More = {}) => ({
  model,
  dataset,
  learningRate: 0.01,
  lrSchedulerType: "constant" as const,
  perDeviceTrainBatchSize: 3,
  maxSteps: 2,
  ...extra,
});
type Run = (options: TrainingOptions & { model: ScalarModel; dataset: readonly DatasetRow[] }) => AsyncGenerator<TrainingStep>;

let wasm: Device | undefined;
afterAll(() => wasm?.destroy());

const variants: [string, Run, readonly DatasetRow[], More][] = [
  ["bradley_terry", reward, pairs, {}],
  ["bradley_terry with margins, centred", reward, withMargins, { centerRewardsCoefficient: 0.01 }],
  ["margin_regression", reward, withMargins, { lossType: "margin_regression" }],
  ["all_pairs", reward, lists, {}],
  ["plackett_luce", reward, lists, { lossType: "plackett_luce" }],
  ["plackett_luce with ties", reward, tiedLists, { lossType: "plackett_luce", ties: "average", topK: 2 }],
  ["best_of_n", reward, lists, { lossType: "best_of_n" }],
  ["regression", reward, ratings, {}],
  ["binary", reward, labels, {}],
  ["prm", prm, steps, {}],
  ["prm on rewards", prm, stepRewards, {}],
];

describe.each(variants)("%s", (name, trainer, dataset, extra) => {
  test("learns, and orders held-out pairs", async () => {
    wasm ??= await createWasmDevice({ relaxed: false });
    const model = newModel(wasm);
    const taken = await allOf(trainer(options(model, dataset, { maxSteps: 30, perDeviceTrainBatchSize: 6, ...extra })));
    const [first, last] = [taken[0]?.metrics as Record<string, number>, taken.at(-1)?.metrics as Record<string, number>];
    expect(last.loss).toBeLessThan((first.loss as number) * 0.8);
    if (name.includes("regression") || name === "prm on rewards") expect(last.loss).toBeLessThan(0.5);
    else expect(last.accuracy).toBe(1);
    expect(last.min_reward).toBeLessThan(last.mean_reward as number);
    expect(last.max_reward).toBeGreaterThan(last.mean_reward as number);
    if (trainer === reward) {
      const { metrics, calibration, scores, dropped } = await evaluateRewardModel({ model, dataset: heldOut });
      expect(metrics.accuracy).toBe(1);
      expect(metrics.margin).toBeGreaterThan(0);
      expect([scores.length, dropped]).toEqual([12, 0]);
      // Always right: the calibration error is what confidence lacks.
      const confidence = calibration?.bins.reduce((sum, bin) => sum + (bin.count > 0 ? bin.count * bin.confidence : 0), 0) as number;
      expect(calibration?.expectedCalibrationError).toBeCloseTo(1 - confidence / 6, 10);
    }
    model.decoder.dispose();
  });

  test("the gradient does not depend on micro-batches or checkpointing", async () => {
    const first = async (more: More) => {
      const model = newModel(createReferenceDevice());
      const one = { ...extra, maxSteps: 1, shuffleDataset: false, maxGradNorm: 0, ...more };
      const [step] = await allOf(trainer(options(model, dataset, one)));
      return { weights: await weightsOf(model), metrics: step?.metrics as Record<string, number> };
    };
    const whole = await first({ perDeviceTrainBatchSize: 6 });
    for (const more of [
      { perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 3 },
      { perDeviceTrainBatchSize: 6, maxTokensPerMicroBatch: 45, gradientCheckpointing: true },
    ]) {
      const split = await first(more);
      expect(relativeDistance(split.weights, whole.weights)).toBeLessThan(1e-6);
      for (const [metric, value] of Object.entries(whole.metrics)) expect(split.metrics[metric], metric).toBeCloseTo(value, 6);
    }
  });

  test("a resumed run ends with the same bits, and nothing is left allocated", async () => {
    const same = { ...extra, maxSteps: 3, lrSchedulerType: "cosine" };
    const whole = newModel(createRoundedDevice());
    whole.decoder.parameters.grads();
    const live = whole.decoder.device.counters.liveBytes;
    const metrics: unknown[] = [];
    let resume: TrainingState | undefined;
    for await (const step of trainer(options(whole, dataset, same))) {
      metrics.push(step.metrics);
      if (step.step === 1) resume = await step.state();
    }
    expect(whole.decoder.device.counters.liveBytes).toBe(live);
    const resumed = newModel(createRoundedDevice());
    expect((await allOf(trainer(options(resumed, dataset, { ...same, resume })))).map((s) => s.metrics)).toEqual(metrics.slice(1));
    expect(await weightsOf(resumed)).toEqual(await weightsOf(whole));
  });
});

describe("with a head of zeros", () => {
  const first = async (trainer: Run, dataset: readonly DatasetRow[], extra: More = {}) => {
    const model = newModel(createReferenceDevice());
    model.decoder.device.dispatch(ops.fill.set, { tensors: { y: { ...model.score.value, shape: [16] } }, scalars: { value: 0 } });
    const [step] = await allOf(trainer(options(model, dataset, { maxSteps: 1, perDeviceTrainBatchSize: 6, ...extra })));
    return step?.metrics.loss;
  };

  test("every loss has the value of scores that say nothing", async () => {
    const ln2 = Math.log(2);
    expect(await first(reward, pairs)).toBeCloseTo(ln2, 6);
    // Margins 0 and 1.
    expect(await first(reward, withMargins)).toBeCloseTo((ln2 + Math.log1p(Math.E)) / 2, 6);
    expect(await first(reward, withMargins, { lossType: "margin_regression" })).toBeCloseTo(0.5, 6);
    expect(await first(reward, lists)).toBeCloseTo(ln2, 6);
    expect(await first(reward, lists, { lossType: "plackett_luce" })).toBeCloseTo(Math.log(6), 6);
    expect(await first(reward, lists, { lossType: "best_of_n" })).toBeCloseTo(Math.log(3), 6);
    expect(await first(reward, ratings, { perDeviceTrainBatchSize: 18 })).toBeCloseTo(5 / 3, 6);
    expect(await first(reward, labels)).toBeCloseTo(ln2, 6);
    expect(await first(prm, steps)).toBeCloseTo(ln2, 6);
    expect(await first(prm, stepRewards)).toBeCloseTo(1, 6);
    expect(await first(prm, stepRewards, { trainOnLastStepOnly: true })).toBeCloseTo(1, 6);
  });
});

describe("what is refused or left out", () => {
  const fails = (dataset: readonly DatasetRow[], extra: More = {}, trainer: Run = reward) =>
    allOf(trainer(options(newModel(createReferenceDevice()), dataset, extra))).catch((e: unknown) => e as Error);

  test("options and rows", async () => {
    const error = (await fails(pairs, { lossType: "plackett_luce", topK: 0, maxLength: 1 })) as Error;
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/maxLength.*lossType.*bradley_terry.*topK/);
    expect(((await fails(lists, { centerRewardsCoefficient: 0.1 })) as Error).message).toMatch(/bradley_terry only/);
    for (const trainer of [reward, prm] as Run[]) {
      const policy = { ...newModel(createReferenceDevice()), ...tinyModel(createReferenceDevice()) };
      const refused = allOf(trainer(options(policy, pairs)));
      await expect(refused).rejects.toThrow(/`model` must be a model with a score head \(newScalarModel makes one\), got "lm"/);
    }
    expect(((await fails([{ text: "a" }])) as Error).message).toMatch(/reward: rows must be .*got text/);
    expect(((await fails(lists.map((row) => ({ ...row, ranks: [1, 1, 1] })))) as Error).message).toMatch(/only ties/);
    expect(await fails([{ prompt: "a", completions: ["b"], labels: ["yes"] }], {}, prm)).toMatchObject({ code: "DATA", line: 1 });
  });

  test("rows that are too long are dropped whole, and tied lists are left out", async () => {
    const long = { prompt: "g:", chosen: "y".repeat(60), rejected: "n" };
    const { dropped } = await evaluateRewardModel({
      model: newModel(createReferenceDevice()),
      dataset: [...pairs, long],
      maxLength: 40,
    });
    expect(dropped).toBe(1);
    const tied = { prompt: "g:", completions: ["a", "b"], ranks: [1, 1] };
    const all = await evaluateRewardModel({ model: newModel(createReferenceDevice()), dataset: [...lists, tied] });
    expect([all.dropped, all.scores.length]).toEqual([1, 18]);
  });
});

describe("reward functions", () => {
  test("a reward model scores as it was trained, whatever the batch, and is normalised", async () => {
    const model = newModel(createReferenceDevice());
    const prompts = ["a:", "b:", "c:"];
    const completions = ["yes", "no", "well, maybe"];
    const sequences = prompts.map((prompt, i) => ({ tokens: byteTokenizer.encode(`${prompt}${completions[i]}<|endoftext|>`) }));
    const scores = await scoreSequences(model, sequences, 8);
    const plain = rewardModelFunction(model);
    expect(plain.name).toBe("reward_model");
    const given = { prompts, completions };
    expect([...(await rewardsOf(plain, given))]).toEqual([...scores]);
    const fitted = fitNormalization(scores, { mean: 2, std: 3 });
    const normalised = [...(await rewardsOf(rewardModelFunction(model, { normalization: fitted }), given))] as number[];
    const mean = normalised.reduce((a, b) => a + b, 0) / 3;
    expect(mean).toBeCloseTo(2, 6);
    expect(Math.sqrt(normalised.reduce((sum, r) => sum + (r - mean) ** 2, 0) / 3)).toBeCloseTo(3, 6);
    expect(fitNormalization([1, 2, 3], { std: "keep" })).toEqual({ gain: 1, bias: -2 });
    expect(() => fitNormalization([1, 1])).toThrow(/must have a spread/);
  });

  test("a process reward model gives each step its value where the step ends", async () => {
    const model = newModel(createReferenceDevice());
    const completions = ["fine\nbad", "", "ok\n\nok\n"];
    const completionIds = completions.map((text) => Uint32Array.from([...byteTokenizer.encode(text), 0]));
    const given = { prompts: ["a:", "b:", "c:"], completions, ids: completionIds };
    const result = (await rewardsOf(processRewardFunction(model), given)) as (RewardDetail | null)[];
    expect(result[1]).toBeNull();
    expect(result[0]?.steps?.map(({ end }) => end)).toEqual([4, 8]);
    // The empty line is no step; its newline belongs to nothing.
    expect(result[2]?.steps?.map(({ end }) => end)).toEqual([2, 6]);
    const judged = [
      { tokens: byteTokenizer.encode("a:fine\nbad\n"), ends: [6, 10] },
      { tokens: byteTokenizer.encode("c:ok\nok\n"), ends: [4, 7] },
    ];
    const scores = [...(await scoreSequences(model, judged))];
    const chances = scores.map((score) => 1 / (1 + Math.exp(-score)));
    const values = [result[0], result[2]].flatMap((detail) => detail?.steps?.map(({ value }) => value) ?? []);
    values.forEach((value, i) => {
      expect(value).toBeCloseTo(chances[i] as number, 10);
    });
    expect(result[0]?.total).toBe(Math.min(...values.slice(0, 2)));
    const last = (await rewardsOf(processRewardFunction(model, { total: "last", stepValue: "score" }), given)) as (RewardDetail | null)[];
    expect(last[0]?.total).toBeCloseTo(scores[1] as number, 10);
  });

  test("steps end with the token that completes their separator", () => {
    const ids = (text: string) => Uint32Array.from([...byteTokenizer.encode(text), 0]);
    expect(stepEnds(ids("ab\ncd\n"), byteTokenizer, "\n")).toEqual([2, 5]);
    expect(stepEnds(ids("ab\ncd"), byteTokenizer, "\n")).toEqual([2, 5]);
    expect(stepEnds(ids("ab; cd"), byteTokenizer, "; ")).toEqual([3, 6]);
    expect(stepEnds(ids(""), byteTokenizer, "\n")).toEqual([]);
  });
});
