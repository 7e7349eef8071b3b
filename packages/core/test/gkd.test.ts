/** Distillation: the student comes to the teacher on every kind of data, equal models stay, splits do not matter, resuming is not having stopped. */
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import { Tape } from "../src/autograd/tape";
import { vocabPair } from "../src/autograd/vocab-pair";
import type { TrainingState } from "../src/checkpoint/state";
import { collate } from "../src/data/batch";
import { tokenizeExamples } from "../src/data/tokenize";
import { ConfigError, DataError } from "../src/errors";
import { type GkdOptions, gkd } from "../src/trainers/gkd";
import type { TrainingModel } from "../src/trainers/training-model";
import { allOf, createRoundedDevice, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

const dataset = [
  { prompt: "ab", completion: "cab" },
  { prompt: "hello", completion: " w" },
  { prompt: "x", completion: "yzzy" },
];

const options = (extra: Partial<GkdOptions> = {}, device: Device = createReferenceDevice()): GkdOptions => ({
  model: tinyModel(device),
  teacher: tinyModel(device, { seed: 9, initializerRange: 0.4 }),
  dataset,
  learningRate: 0.01,
  lrSchedulerType: "constant",
  perDeviceTrainBatchSize: 3,
  maxNewTokens: 4,
  maxSteps: 2,
  ...extra,
});

/** Mean of KL(teacher ‖ student) in nats of the token after each prompt, by softmax in JavaScript. */
async function exactKl(student: TrainingModel, teacher: TrainingModel): Promise<number> {
  const batch = collate(tokenizeExamples(dataset, { tokenizer: student.tokenizer }), student.decoder.config.vocabSize);
  const logProbabilities = async ({ decoder }: TrainingModel): Promise<number[][]> => {
    const { device } = decoder;
    const tape = new Tape(device, { grad: false });
    const hidden = (await device.read(decoder.forward(tape, batch))) as Float32Array;
    const head = (await device.read(decoder.parameter(decoder.config.tied ? "embedding" : "head").value)) as Float32Array;
    tape.dispose();
    const width = decoder.config.hiddenSize;
    return dataset.map(({ prompt }, s) => {
      const n = (batch.offsets[s] as number) + prompt.length - 1;
      const logits = Array.from({ length: decoder.config.vocabSize }, (_, v) => {
        let sum = 0;
        for (let c = 0; c < width; c++) sum += (hidden[n * width + c] as number) * (head[v * width + c] as number);
        return sum;
      });
      const top = Math.max(...logits);
      const lse = top + Math.log(logits.reduce((sum, z) => sum + Math.exp(z - top), 0));
      return logits.map((z) => z - lse);
    });
  };
  const [q, p] = [await logProbabilities(teacher), await logProbabilities(student)];
  return q.reduce((sum, row, n) => sum + row.reduce((kl, lq, v) => kl + Math.exp(lq) * (lq - (p[n]?.[v] as number)), 0), 0) / q.length;
}

describe("gkd", () => {
  test.each<[string, Partial<GkdOptions>, string]>([
    ["the dataset's completions, forward KL", { lmbda: 0, beta: 0 }, "dataset"],
    ["the teacher's, Jensen-Shannon", { lmbda: 0, seqKd: true }, "teacher"],
    ["its own, reverse KL", { lmbda: 1, beta: 1 }, "student"],
  ])("a student comes nearer to its teacher on %s, and frees what it allocated", async (_, extra, source) => {
    const run = options({ ...extra, maxSteps: 20, learningRate: 0.03 });
    const { device, parameters } = run.model.decoder;
    parameters.grads();
    const before = await exactKl(run.model, run.teacher as TrainingModel);
    const bytes = device.counters.liveBytes;
    const frozen = await weightsOf(run.teacher as TrainingModel);
    const steps = await allOf(gkd(run));
    expect(new Set(steps.map((step) => step.source))).toEqual(new Set([source]));
    expect(steps[0]?.metrics.on_policy).toBe(source === "student" ? 1 : 0);
    expect(steps.at(-1)?.metrics.loss).toBeLessThan(0.7 * (steps[0]?.metrics.loss as number));
    expect(await exactKl(run.model, run.teacher as TrainingModel)).toBeLessThan(0.7 * before);
    expect(await weightsOf(run.teacher as TrainingModel)).toEqual(frozen);
    expect(device.counters.liveBytes).toBe(bytes);
  });

  test("the loss is the mean divergence over the step's completion tokens, at the temperature", async () => {
    const run = options({ lmbda: 0, beta: 0.3, temperature: 0.7, maxSteps: 1, learningRate: 0, shuffleDataset: false });
    const { device, config } = run.model.decoder;
    const batch = collate(tokenizeExamples(dataset, { tokenizer: run.model.tokenizer, completionOnlyLoss: false }), config.vocabSize);
    const tape = new Tape(device, { grad: false });
    const side = ({ decoder }: Pick<TrainingModel, "decoder">) => ({
      hidden: decoder.forward(tape, batch),
      head: decoder.head,
      temperature: 0.7,
    });
    const all = (await device.read(vocabPair(tape, { learning: side(run.model), fixed: side(run.teacher), beta: 0.3 }))) as Float32Array;
    // Completion tokens are predicted from the last token of the prompt on; the EOS token is the last of each row.
    const counted = dataset.flatMap(({ prompt }, s) => [
      ...all.subarray((batch.offsets[s] as number) + prompt.length - 1, (batch.offsets[s + 1] as number) - 1),
    ]);
    expect(counted).toHaveLength(3 + 2 + 4 + 3);
    const [step] = await allOf(gkd(run));
    expect(step?.metrics.loss).toBeCloseTo(counted.reduce((sum, d) => sum + d, 0) / counted.length, 6);
  });

  test("a student that is its teacher has nothing to learn", async () => {
    const run = options();
    const same = options({ ...run, teacher: { decoder: run.model.decoder.clone() }, maxSteps: 4 });
    const steps = await allOf(gkd(same));
    for (const { metrics } of steps) {
      expect(metrics.loss).toBeLessThan(1e-12);
      expect(metrics.grad_norm).toBeLessThan(1e-6);
    }
  });

  test("the source is drawn with the seed and the step, about as often as lmbda says", async () => {
    const run = () => options({ maxSteps: 30, learningRate: 0, maxNewTokens: 1, dataset: dataset.slice(0, 1), perDeviceTrainBatchSize: 1 });
    const sources = (await allOf(gkd(run()))).map(({ source }) => source);
    const own = sources.filter((source) => source === "student").length;
    expect(own).toBeGreaterThan(7);
    expect(own).toBeLessThan(23);
    expect((await allOf(gkd(run()))).map(({ source }) => source)).toEqual(sources);
    expect((await allOf(gkd({ ...run(), seed: 1 }))).map(({ source }) => source)).not.toEqual(sources);
  });

  test("the gradient does not depend on micro-batches", async () => {
    const train = async (extra: Partial<GkdOptions>) => {
      const run = options({ lmbda: 1, maxGradNorm: 0, adamEpsilon: 1, learningRate: 1, maxSteps: 1, perDeviceTrainBatchSize: 3, ...extra });
      const before = await weightsOf(run.model);
      const [step] = await allOf(gkd(run));
      const moved = (await weightsOf(run.model)).map((flat, shard) => flat.map((value, i) => value - (before[shard]?.[i] as number)));
      return { moved, loss: step?.metrics.loss as number };
    };
    const whole = await train({});
    for (const extra of [
      { perDeviceTrainBatchSize: 1, gradientAccumulationSteps: 3 },
      { maxTokensPerMicroBatch: 10 },
      { gradientCheckpointing: true },
    ]) {
      const split = await train(extra);
      expect(relativeDistance(split.moved, whole.moved)).toBeLessThan(1e-6);
      expect(split.loss).toBeCloseTo(whole.loss, 6);
    }
  });

  test("a resumed run goes on as if it had not stopped", async () => {
    const run = () => options({ maxSteps: 4 }, createRoundedDevice());
    const whole = run();
    const all = await allOf(gkd(whole));
    let state: TrainingState | undefined;
    for await (const step of gkd(run())) {
      if (step.step < 2) continue;
      state = await step.state();
      break;
    }
    const resumed = run();
    const rest = await allOf(gkd({ ...resumed, resume: state }));
    expect(rest.map(({ metrics }) => metrics)).toEqual(all.slice(2).map(({ metrics }) => metrics));
    expect(await weightsOf(resumed.model)).toEqual(await weightsOf(whole.model));
  });

  test.each<[string, Partial<GkdOptions>]>([
    ["lmbda", { lmbda: 1.1 }],
    ["beta", { beta: -0.1 }],
    ["temperature", { temperature: 0 }],
    ["maxNewTokens", { maxNewTokens: 0 }],
    ["maxLength", { maxLength: 1e6 }],
    ["teacher", { teacher: tinyModel(createReferenceDevice()) }],
  ])("refuses bad %s", async (name, extra) => {
    const failed = allOf(gkd(options(extra)));
    await expect(failed).rejects.toThrow(ConfigError);
    await expect(failed).rejects.toThrow(name);
  });

  test("refuses rows without a completion, and an empty prompt", async () => {
    await expect(allOf(gkd(options({ dataset: [{ text: "a" }] })))).rejects.toThrow(DataError);
    await expect(allOf(gkd(options({ dataset: [{ prompt: "", completion: "a" }] })))).rejects.toThrow(DataError);
  });
});
