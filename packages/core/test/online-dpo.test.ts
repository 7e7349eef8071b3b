/** Online DPO: it learns from rewards and from judges, ranks pairs as TRL does, does not mind splits, and resumes. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import type { TrainingState } from "../src/checkpoint/state";
import { ConfigError, RewardError } from "../src/errors";
import { generate } from "../src/generate/generate";
import type { RewardFunction } from "../src/rl/rewards";
import { type ComparingJudge, type OnlineDpoOptions, onlineDpo } from "../src/trainers/online-dpo";
import { allOf, createRoundedDevice, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

/** The share of tokens below 40 in a completion. */
const lowTokens: RewardFunction = ({ completionIds }) => completionIds.map((ids) => ids.filter((id) => id < 40).length / ids.length);
const spread: RewardFunction = ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7);
const same: RewardFunction = ({ completions }) => completions.map(() => 1);
/** Prefers the completion with the smaller first character; null where they are equal. */
const smallerFirst: ComparingJudge = {
  async compare(pairs) {
    const first = (text: unknown) => (text as string).charCodeAt(0) || 0;
    return { values: pairs.map(({ a, b }) => (first(a) === first(b) ? null : Number(first(a) < first(b)))) };
  },
};

const options = (extra: Partial<OnlineDpoOptions> = {}): OnlineDpoOptions => ({
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

const sides = (step: { completions: readonly { advantage: number }[] }) => step.completions.map(({ advantage }) => advantage);

describe("onlineDpo", () => {
  test("raises the reward of what it samples, and frees what it allocated", async () => {
    const run = options({ rewards: lowTokens, learningRate: 0.06, maxSteps: 20, perDeviceTrainBatchSize: 24 });
    const { device, parameters } = run.model.decoder;
    parameters.grads();
    const before = device.counters.liveBytes;
    const scores = (await allOf(onlineDpo(run))).map(({ metrics }) => metrics["objective/scores"] as number);
    expect(scores[0]).toBeLessThan(0.4);
    expect(scores.at(-1)).toBeGreaterThan(0.8);
    expect(device.counters.liveBytes).toBe(before);
  });

  test("raises the share of pairs that a judge finds better than those of the model as it was", async () => {
    const run = options({ rewards: undefined, judge: smallerFirst, learningRate: 0.03, maxSteps: 15, perDeviceTrainBatchSize: 24 });
    const sample = async (model = run.model) =>
      (await generate({ model, prompts: ["ab"], n: 40, maxNewTokens: 3, temperature: 0.9, seed: 7 })).map(({ text }) => text);
    const before = await sample();
    const [first] = await allOf(onlineDpo(run));
    const after = await sample();
    const { values } = await smallerFirst.compare(after.map((a, i) => ({ prompt: "ab", a, b: before[i] as string })));
    const decided = values.filter((value) => value !== null);
    expect(decided.reduce((sum, value) => sum + value, 0) / decided.length).toBeGreaterThan(0.75);
    expect(first?.metrics).not.toHaveProperty("objective/scores");
    expect(first?.metrics).toHaveProperty("rewards/margins");
  });

  test("of a pair the larger reward is chosen, of equal ones the first; penalties count; what cannot be ranked is left out", async () => {
    const values = [1, 2, 3, 3, null, 0, 5, 4];
    const [step] = await allOf(onlineDpo(options({ rewards: () => values, maxSteps: 1 })));
    expect(sides(step!)).toEqual([-1, 1, 1, -1, 0, 0, 1, -1]);
    // (1 + 2 + 3 + 3 + 5 + 4) / 6, and the mean of the margins 1, 0, 1.
    expect(step!.metrics["objective/scores"]).toBeCloseTo(3, 12);
    expect(step!.metrics["objective/scores_margin"]).toBeCloseTo(2 / 3, 12);

    const rollout: OnlineDpoOptions["rolloutFunction"] = async (request) =>
      (await generate(request)).map((completion, s) => ({ ...completion, finishReason: s % 2 === 0 ? "length" : "stop" }));
    const [cut] = await allOf(
      onlineDpo(options({ rewards: () => [1, 0, 3, 0, 1, 1, 0, 9], missingEosPenalty: 2, rolloutFunction: rollout, maxSteps: 1 })),
    );
    expect(sides(cut!)).toEqual([-1, 1, 1, -1, -1, 1, -1, 1]);
    expect(cut!.metrics["val/contain_eos_token"]).toBe(0.5);
    // Less 2 for each that was cut: mean of -1, 0, 1, 0, -1, 1, -2, 9.
    expect(cut!.metrics["objective/scores"]).toBeCloseTo(7 / 8, 12);
  });

  test("starts where DPO starts: the loss is log 2 and nothing has moved from the reference", async () => {
    const [step] = await allOf(onlineDpo(options({ maxSteps: 1 })));
    const { metrics } = step!;
    expect(metrics.loss).toBeCloseTo(Math.LN2, 7);
    for (const name of ["objective/kl", "rewards/chosen", "rewards/rejected", "rewards/margins"]) expect(metrics[name]).toBeCloseTo(0, 5);
    expect(metrics["objective/rlhf_reward"]).toBeCloseTo(metrics["objective/scores"] as number, 5);
    expect(metrics["objective/entropy"]).toBeCloseTo(-((metrics["logps/chosen"] as number) + (metrics["logps/rejected"] as number)) / 2, 9);
    const [ipo] = await allOf(onlineDpo(options({ maxSteps: 1, lossType: "ipo", beta: 0.25 })));
    expect(ipo!.metrics.loss).toBeCloseTo(4, 4);
  });

  test("beta may follow the epochs; its last value stays", async () => {
    const run = options({ beta: [0.4, 0.2], perDeviceTrainBatchSize: 6, maxSteps: 3 });
    expect((await allOf(onlineDpo(run))).map(({ metrics }) => metrics.beta)).toEqual([0.4, 0.2, 0.2]);
  });

  test("the gradient does not depend on micro-batches", async () => {
    const train = async (extra: Partial<OnlineDpoOptions>) => {
      // SGD-like, so that weights show the gradient; two steps, so that the policy has left the reference.
      const run = options({ maxGradNorm: 0, adamEpsilon: 1, learningRate: 1, ...extra });
      const before = await weightsOf(run.model);
      const steps = await allOf(onlineDpo(run));
      const moved = (await weightsOf(run.model)).map((flat, shard) => flat.map((value, i) => value - (before[shard]?.[i] as number)));
      return { moved, losses: steps.map(({ metrics }) => metrics.loss as number) };
    };
    const whole = await train({});
    for (const extra of [{ perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 4 }, { maxTokensPerMicroBatch: 20 }]) {
      const split = await train(extra);
      expect(relativeDistance(split.moved, whole.moved)).toBeLessThan(1e-6);
      split.losses.forEach((loss, i) => {
        expect(loss).toBeCloseTo(whole.losses[i] as number, 6);
      });
    }
  });

  test("a resumed run goes on as if it had not stopped, in the middle of a round", async () => {
    const run = () =>
      options({ model: tinyModel(createRoundedDevice()), numIterations: 2, maxSteps: 4, syncRefModel: true, refModelSyncSteps: 2 });
    const whole = run();
    const all = await allOf(onlineDpo(whole));
    let state: TrainingState | undefined;
    for await (const step of onlineDpo(run())) {
      if (step.step < 3) continue;
      state = await step.state();
      break;
    }
    const resumed = run();
    const [last] = await allOf(onlineDpo({ ...resumed, resume: state }));
    expect(last?.step).toBe(4);
    expect(last?.metrics).toEqual(all.at(-1)?.metrics);
    expect(await weightsOf(resumed.model)).toEqual(await weightsOf(whole.model));
  });

  test.each<[string, Partial<OnlineDpoOptions>]>([
    ["rewards", { rewards: undefined }],
    ["judge", { judge: smallerFirst }],
    ["beta", { beta: [] }],
    ["beta", { beta: 0 }],
    ["lossType", { lossType: "hinge" as "ipo" }],
    ["missingEosPenalty", { missingEosPenalty: -1 }],
    ["perDeviceTrainBatchSize", { perDeviceTrainBatchSize: 3 }],
  ])("refuses bad %s", async (name, extra) => {
    const failed = allOf(onlineDpo(options(extra)));
    await expect(failed).rejects.toThrow(ConfigError);
    await expect(failed).rejects.toThrow(name);
  });

  test("equal rewards still make pairs: the first one is chosen", async () => {
    const [step] = await allOf(onlineDpo(options({ rewards: same, maxSteps: 1 })));
    expect(sides(step!)).toEqual([1, -1, 1, -1, 1, -1, 1, -1]);
  });

  test("a judge's probability decides, its indifference is a tie, and its silence leaves the pair out", async () => {
    const seen: unknown[] = [];
    const judge: ComparingJudge = {
      async compare(pairs) {
        seen.push(...pairs);
        return { values: [0.7, 0.3, 0.5, null] };
      },
    };
    const [step] = await allOf(onlineDpo(options({ rewards: undefined, judge, maxSteps: 1 })));
    expect(sides(step!)).toEqual([1, -1, -1, 1, 1, -1, 0, 0]);
    const { completions } = step!;
    expect(seen).toEqual(
      [0, 2, 4, 6].map((row) => ({
        prompt: completions[row]?.prompt,
        a: completions[row]?.completion,
        b: completions[row + 1]?.completion,
      })),
    );
    // The same verdicts from the other side choose the other completion, but for the tie.
    const swapped: ComparingJudge = { compare: async () => ({ values: [0.3, 0.7, 0.5, null] }) };
    const [other] = await allOf(onlineDpo(options({ rewards: undefined, judge: swapped, maxSteps: 1 })));
    expect(sides(other!)).toEqual([-1, 1, 1, -1, 1, -1, 0, 0]);
  });

  test.each([[[0.5]], [[0.5, 0.5, 0.5, 1.5]], [[0.5, 0.5, 0.5, Number.NaN]]])("a judge may not answer %o to four pairs", async (values) => {
    const judge: ComparingJudge = { compare: async () => ({ values }) };
    await expect(allOf(onlineDpo(options({ rewards: undefined, judge })))).rejects.toThrow(RewardError);
  });
});
