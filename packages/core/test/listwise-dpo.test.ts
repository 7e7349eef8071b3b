/** List-wise DPO: it learns rankings, is DPO for two, does not mind splits, and resumes. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import type { TrainingState } from "../src/checkpoint/state";
import { ConfigError, DataError } from "../src/errors";
import { type ListwiseDpoOptions, listwiseDpo } from "../src/trainers/listwise-dpo";
import { allOf, createRoundedDevice, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

const dataset = [
  { prompt: "ab", completions: ["c", "dd", "e"], ranks: [2, 1, 3] },
  { prompt: "x", completions: ["y", "zz", "w", "v"], ranks: [1, 3, 2, 3] },
  { prompt: "q", completions: ["r", "s"], ranks: [1, 1] },
];

const options = (extra: Partial<ListwiseDpoOptions> = {}): ListwiseDpoOptions => ({
  model: tinyModel(createReferenceDevice()),
  dataset,
  learningRate: 0.01,
  lrSchedulerType: "constant",
  perDeviceTrainBatchSize: 2,
  maxSteps: 2,
  ...extra,
});

describe("listwiseDpo", () => {
  test("starts at the loss of chance, learns every ranking, and frees what it allocated", async () => {
    const run = options({ maxSteps: 15 });
    const { device, parameters } = run.model.decoder;
    parameters.grads();
    const before = device.counters.liveBytes;
    const steps = await allOf(listwiseDpo(run));
    // All scores equal: log 3 + log 2 for three in order; log 4 + log 3 for four of which the last two tie. The list of ties is left out.
    expect(steps[0]?.metrics.loss).toBeCloseTo((Math.log(6) + Math.log(12)) / 2, 5);
    expect(steps[0]?.metrics["rewards/margins"]).toBeCloseTo(0, 5);
    expect(steps.at(-1)?.metrics["rewards/accuracies"]).toBe(1);
    expect(steps.at(-1)?.metrics.loss).toBeLessThan(0.8 * (steps[0]?.metrics.loss as number));
    expect(steps[0]?.metrics.epoch).toBe(1);
    expect(device.counters.liveBytes).toBe(before);
  });

  test("of two completions it is DPO: after a step the loss is -log σ of the reward margin", async () => {
    const run = options({ dataset: [{ prompt: "ab", completions: ["c", "dd"], ranks: [2, 1] }], perDeviceTrainBatchSize: 1, maxSteps: 3 });
    for (const { metrics } of await allOf(listwiseDpo(run))) {
      expect(metrics.loss).toBeCloseTo(Math.log1p(Math.exp(-(metrics["rewards/margins"] as number))), 5);
    }
  });

  test("the gradient does not depend on micro-batches", async () => {
    const train = async (extra: Partial<ListwiseDpoOptions>) => {
      const run = options({ maxGradNorm: 0, adamEpsilon: 1, learningRate: 1, ties: "average", ...extra });
      const before = await weightsOf(run.model);
      const steps = await allOf(listwiseDpo(run));
      const moved = (await weightsOf(run.model)).map((flat, shard) => flat.map((value, i) => value - (before[shard]?.[i] as number)));
      return { moved, metrics: steps.at(-1)?.metrics };
    };
    const whole = await train({});
    for (const extra of [{ perDeviceTrainBatchSize: 1, gradientAccumulationSteps: 2 }, { maxTokensPerMicroBatch: 12 }]) {
      const split = await train(extra);
      expect(relativeDistance(split.moved, whole.moved)).toBeLessThan(1e-6);
      for (const name of ["loss", "rewards/margins", "logps/chosen"]) {
        expect(split.metrics?.[name]).toBeCloseTo(whole.metrics?.[name] as number, 5);
      }
    }
  });

  test("a resumed run goes on as if it had not stopped", async () => {
    const run = () =>
      options({
        model: tinyModel(createRoundedDevice()),
        perDeviceTrainBatchSize: 1,
        maxSteps: 4,
        syncRefModel: true,
        refModelSyncSteps: 1,
      });
    const whole = run();
    const all = await allOf(listwiseDpo(whole));
    let state: TrainingState | undefined;
    for await (const step of listwiseDpo(run())) {
      if (step.step < 2) continue;
      state = await step.state();
      break;
    }
    const resumed = run();
    const rest = await allOf(listwiseDpo({ ...resumed, resume: state }));
    expect(rest.map(({ metrics }) => metrics)).toEqual(all.slice(2).map(({ metrics }) => metrics));
    expect(await weightsOf(resumed.model)).toEqual(await weightsOf(whole.model));
  });

  test.each<[string, Partial<ListwiseDpoOptions>]>([
    ["beta", { beta: 0 }],
    ["topK", { topK: 0 }],
    ["ties", { ties: "first" as "omit" }],
    ["maxLength", { maxLength: 1e6 }],
  ])("refuses bad %s", async (name, extra) => {
    const failed = allOf(listwiseDpo(options(extra)));
    await expect(failed).rejects.toThrow(ConfigError);
    await expect(failed).rejects.toThrow(name);
  });

  test("refuses a dataset in which nothing is ranked", async () => {
    await expect(allOf(listwiseDpo(options({ dataset: dataset.slice(2) })))).rejects.toThrow(DataError);
  });
});
