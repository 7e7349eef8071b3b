/** ILQL: values of an enumerable task are found, they guide the policy on prompts it never saw, and a run can be split, resumed and fed by itself. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { afterAll, describe, expect, test } from "vitest";
import { Tape } from "../src/autograd/tape";
import type { TrainingState } from "../src/checkpoint/state";
import { collate } from "../src/data/batch";
import { ConfigError, DataError } from "../src/errors";
import { generate } from "../src/generate/generate";
import { targetHidden } from "../src/models/logprobs";
import { guidedModel, newTokenValues, type TokenValueOptions, type TokenValues } from "../src/models/token-values";
import type { ParameterSet } from "../src/nn/parameters";
import type { Metrics } from "../src/rl/metrics";
import type { RewardFunction } from "../src/rl/rewards";
import { type IlqlOptions, ilql } from "../src/trainers/q-learning";
import type { TrainingModel } from "../src/trainers/training-model";
import { ARMS, banditModel } from "./bandit";
import { allOf, relativeDistance, weightsOf } from "./trainer-model";

const wasm = await createWasmDevice({ relaxed: false });
afterAll(() => wasm.destroy());

/** Tokens 1 to 7 are the characters "!" to "'"; 0 ends a text. */
const text = (...tokens: number[]) => String.fromCharCode(...tokens.map((token) => 0x20 + token));

/** Completions of two of the tokens 1 to 3, each with its reward. */
const pay = (first: number, second: number) => [0.2, 0.9, 0.1, 0.4, 0, 0.5, 0.3, 0.6, 1][(first - 1) * 3 + second - 1] as number;
const pairs = [1, 2, 3].flatMap((first) => [1, 2, 3].map((second) => [first, second] as const));
const enumerated = pairs.map(([first, second]) => ({ prompt: text(6), completion: text(first, second), reward: pay(first, second) }));

function make(extra: Partial<IlqlOptions> & { device?: typeof wasm; values?: TokenValues } = {}, of: TokenValueOptions = {}): IlqlOptions {
  const { device = wasm, ...rest } = extra;
  const model: TrainingModel = banditModel(device);
  return {
    model,
    values: newTokenValues(model, { seed: 3, ...of }),
    dataset: enumerated,
    learningRate: 0.01,
    lrSchedulerType: "constant",
    perDeviceTrainBatchSize: 18,
    maxSteps: 3,
    ...rest,
  };
}

const bitsOf = async (set: ParameterSet) => Promise.all(set.shards.map(async (shard) => (await set.device.read(shard)) as Float32Array));

describe("values", () => {
  test("of an enumerable task are those of its decision process", async () => {
    const tau = 0.9;
    const run = make({
      maxSteps: 500,
      lrSchedulerType: "linear",
      tau,
      gamma: 1,
      cqlScale: 0,
      awacScale: 0.1,
      alpha: 0.1,
      targetSyncSteps: 1,
      maxGradNorm: 0,
    });
    const steps = await allOf(ilql(run));
    expect(steps.at(-1)?.metrics["losses/loss_q"]).toBeLessThan(0.01);
    // The data takes every first and second token equally often; the third action, the end, is certain.
    const second = [1, 2, 3].map((first) =>
      expectile(
        [1, 2, 3].map((token) => pay(first, token)),
        tau,
      ),
    );
    const { decoder } = run.model;
    const sequences = pairs.map(([first, token]) => ({ tokens: Uint32Array.of(6, first, token, 0), mask: Uint8Array.of(0, 1, 1, 1) }));
    const tape = new Tape(wasm, { grad: false });
    const hidden = targetHidden(tape, decoder, collate(sequences, ARMS)); // three states of each sequence
    const qs = (await wasm.read(run.values.allTargetQs(tape, hidden))) as Float32Array;
    const values = (await wasm.read(run.values.values(tape, hidden))) as Float32Array;
    tape.dispose();
    pairs.forEach(([first, token], row) => {
      const q = (t: number, action: number) => qs[(3 * row + t) * ARMS + action] as number;
      expect(Math.abs(q(0, first) - (second[first - 1] as number))).toBeLessThan(0.05);
      expect(Math.abs(q(1, token) - pay(first, token))).toBeLessThan(0.05);
      expect(Math.abs(q(2, 0) - pay(first, token))).toBeLessThan(0.05);
      expect(Math.abs((values[3 * row + 1] as number) - (second[first - 1] as number))).toBeLessThan(0.05);
    });
    expect(Math.abs((values[0] as number) - expectile(second, tau))).toBeLessThan(0.05);
  });

  test("start at 0, and the target network moves by alpha exactly, when it is due", async () => {
    const run = make({ maxSteps: 5, alpha: 0.25, targetSyncSteps: 2 });
    const seen: { q: Float32Array[]; target: Float32Array[] }[] = [
      { q: await bitsOf(run.values.q), target: await bitsOf(run.values.target) },
    ];
    expect(seen[0]?.q).toEqual(seen[0]?.target);
    const metrics: Metrics[] = [];
    for await (const step of ilql(run)) {
      metrics.push(step.metrics);
      seen.push({ q: await bitsOf(run.values.q), target: await bitsOf(run.values.target) });
    }
    expect(metrics[0]).toMatchObject({ "values/mean": 0, "qvalues/0/mean": 0, "qvalues/1/mean": 0, "target_qs/mean": 0 });
    for (let step = 1; step <= 5; step++) {
      const [before, after] = [seen[step - 1], seen[step]] as [(typeof seen)[number], (typeof seen)[number]];
      expect(after.q).not.toEqual(before.q);
      const moved = before.target.map((shard, s) =>
        shard.map((old, i) => Math.fround(old * 0.75) + Math.fround(0.25 * (after.q[s]?.[i] as number))),
      );
      expect(after.target).toEqual(step % 2 === 0 ? moved : before.target);
    }
  });

  test("the smaller of two heads is what guides", async () => {
    const { model, values } = make();
    await allOf(ilql(make({ model, values, maxSteps: 4, alpha: 1, targetSyncSteps: 1 })));
    const tape = new Tape(wasm, { grad: false });
    const hidden = tape.constant(
      Float32Array.from({ length: 16 }, (_, i) => Math.sin(i)),
      [1, 16],
    );
    const actions = { ids: tape.constant(Uint32Array.of(2)), sorted: undefined };
    const [first, second] = await Promise.all(
      values.targetQsAt(tape, hidden, actions).map(async (q) => ((await wasm.read(q)) as Float32Array)[0] as number),
    );
    const all = (await wasm.read(values.allTargetQs(tape, hidden))) as Float32Array;
    const shifted = (await wasm.read(values.shift(3).shift(tape, hidden))) as Float32Array;
    tape.dispose();
    expect(first).not.toBeCloseTo(second as number, 6);
    expect(all[2]).toBeCloseTo(Math.min(first as number, second as number), 6);
    expect(shifted[2]).toBeCloseTo(3 * (all[2] as number), 6);
  });
});

describe("the guided policy", () => {
  // Prompts of two of the tokens 4 to 7; whatever they are, each 2 pays a half, and the data is written without looking.
  const reward = (tokens: readonly number[]) => tokens.filter((token) => token === 2).length / 2;
  const all = [4, 5, 6, 7].flatMap((a) => [4, 5, 6, 7].map((b) => text(a, b)));
  const heldOut = [text(4, 5), text(5, 7), text(7, 4), text(6, 6)];
  const seenPrompts = all.filter((prompt) => !heldOut.includes(prompt));
  const dataset = seenPrompts.flatMap((prompt) => pairs.map((pair) => ({ prompt, completion: text(...pair), reward: reward(pair) })));

  /** The mean reward of many completions of prompts that were not in the data. */
  async function earned(model: TrainingModel): Promise<number> {
    const prompts = heldOut.map((prompt) => model.tokenizer.encode(prompt));
    const completions = await generate({ model, prompts, n: 64, maxNewTokens: 3, seed: 8 });
    return completions.reduce((sum, { tokens }) => sum + reward([...tokens]), 0) / completions.length;
  }

  test.each([
    { name: "heads on the policy's trunk", of: {}, extra: {} },
    { name: "heads on a trunk of their own", of: { trunk: "separate" as const }, extra: {} },
  ])("earns more than the data's on held-out prompts: $name", async ({ of, extra }) => {
    const run = make(
      { dataset, maxSteps: 150, perDeviceTrainBatchSize: 32, alpha: 0.1, targetSyncSteps: 1, tau: 0.9, gamma: 1, ...extra },
      of,
    );
    await allOf(ilql(run));
    // The policy itself has learned to write as the data does, which earns a third; all 2s would earn 1.
    const [plain, guided] = [await earned(run.model), await earned(guidedModel(run.model, run.values, 8))];
    expect(plain).toBeGreaterThan(0.2);
    expect(plain).toBeLessThan(0.45);
    expect(guided).toBeGreaterThan(0.9);
  });

  test("learns from its own completions, without any data", async () => {
    const twos: RewardFunction = ({ completionIds }) => completionIds.map((ids) => reward([...ids]));
    const rollouts = {
      prompts: seenPrompts.map((prompt) => ({ prompt })),
      rewards: twos,
      every: 20,
      completions: 48,
      maxCompletionLength: 2,
      beta: 12,
    };
    const run = make({
      dataset: undefined,
      rollouts,
      maxSteps: 240,
      awacScale: 0,
      cqlScale: 0,
      alpha: 0.2,
      targetSyncSteps: 1,
      tau: 0.9,
      gamma: 1,
    });
    const before = await weightsOf(run.model);
    const rewards = (await allOf(ilql(run))).flatMap(({ metrics }) => (metrics.reward === undefined ? [] : [metrics.reward]));
    expect(rewards).toHaveLength(12);
    expect(rewards[0]).toBeLessThan(0.3);
    expect(rewards.at(-1)).toBeGreaterThan(0.7);
    // With awacScale 0 the policy is left alone.
    expect(await weightsOf(run.model)).toEqual(before);
  });

  test("refuses a rollout of which nothing has a reward", async () => {
    const none: RewardFunction = ({ completions }) => completions.map(() => null);
    const rollouts = { prompts: [{ prompt: seenPrompts[0] as string }], rewards: none, every: 1, completions: 4, maxCompletionLength: 2 };
    await expect(allOf(ilql(make({ dataset: undefined, rollouts, maxSteps: 1 })))).rejects.toThrow(
      /at least one completion .* must have a reward, got none/,
    );
  });
});

describe("a run", () => {
  test.each(["shared", "separate"] as const)("does not depend on micro-batches, and frees what it allocated: %s trunk", async (trunk) => {
    const train = async (extra: Partial<IlqlOptions>) => {
      const run = make(
        { device: createReferenceDevice(), maxSteps: 2, awacBeta: 0.5, maxGradNorm: 0, adamEpsilon: 1, learningRate: 1, ...extra },
        { trunk },
      );
      run.model.decoder.parameters.grads();
      for (const set of [run.values.q, run.values.v, ...(run.values.decoder ? [run.values.decoder.parameters] : [])]) set.grads();
      const { counters } = run.model.decoder.device;
      const before = counters.liveBytes;
      const steps = await allOf(ilql(run));
      expect(counters.liveBytes).toBe(before);
      return {
        weights: [...(await weightsOf(run.model)), ...(await bitsOf(run.values.q)), ...(await bitsOf(run.values.v))],
        loss: steps[1]?.metrics.loss as number,
      };
    };
    const whole = await train({});
    for (const extra of [
      { perDeviceTrainBatchSize: 3, gradientAccumulationSteps: 6 },
      { maxTokensPerMicroBatch: 10, gradientCheckpointing: true },
    ]) {
      const split = await train(extra);
      expect(relativeDistance(split.weights, whole.weights)).toBeLessThan(1e-6);
      expect(split.loss).toBeCloseTo(whole.loss, 6);
    }
  });

  test.each([1, 3])("resumed after step %i ends with the same bits", async (at) => {
    const rewards: RewardFunction = ({ completionIds }) => completionIds.map((ids) => ids[0] as number);
    // Rounds of rollouts at steps 0, 2 and 4, and a buffer that overflows.
    const rollouts = { prompts: [{ prompt: text(1) }, { prompt: text(2) }], rewards, every: 2, completions: 4, maxCompletionLength: 3 };
    const settings = { maxSteps: 5, rollouts, bufferCapacity: 12, alpha: 0.3, targetSyncSteps: 2, lrSchedulerType: "cosine" as const };
    const whole = make(settings, { trunk: "separate" });
    const metrics: Metrics[] = [];
    let resume: TrainingState | undefined;
    for await (const step of ilql(whole)) {
      metrics.push(step.metrics);
      if (step.step === at) resume = await step.state();
    }
    const run = JSON.parse(JSON.stringify(resume?.run)) as Record<string, unknown>;
    const resumed = make({ ...settings, resume: { ...(resume as TrainingState), run } }, { trunk: "separate", seed: 77 });
    expect((await allOf(ilql(resumed))).map((step) => step.metrics)).toEqual(metrics.slice(at));
    expect(await weightsOf(resumed.model)).toEqual(await weightsOf(whole.model));
    for (const set of ["q", "v", "target"] as const) expect(await bitsOf(resumed.values[set])).toEqual(await bitsOf(whole.values[set]));
    expect(metrics[0]).toMatchObject({ "buffer/size": 12, reward: expect.any(Number) });
  });

  test("names every bad option, and every bad row with its line, before any work", async () => {
    const run = make({
      tau: 2,
      gamma: -1,
      alpha: 0,
      cqlScale: -1,
      targetSyncSteps: 0,
      bufferCapacity: 0,
      maxLength: 999,
      dataset: undefined,
    });
    const error = await allOf(ilql(run)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(/dataset.*maxLength.*tau.*gamma.*cqlScale.*bufferCapacity.*alpha.*targetSyncSteps/);
    const fails = (rows: IlqlOptions["dataset"], extra: Partial<IlqlOptions> = {}) =>
      allOf(ilql(make({ dataset: rows, ...extra }))).catch((e: unknown) => e);
    expect(await fails([enumerated[0]!, { prompt: "!", completion: "!" }])).toMatchObject({ line: 2, field: "reward" });
    expect(await fails([{ prompt: "!", completion: "!!!!", reward: 1 }], { maxLength: 5 })).toMatchObject({ line: 1, field: "completion" });
    expect(await fails([{ prompt: "zz", completion: "!", reward: 1 }])).toBeInstanceOf(DataError);
    const other = make({}, { width: 4 });
    const wide = {
      ...other,
      values: newTokenValues({
        decoder: Object.assign(Object.create(other.model.decoder), { config: { ...other.model.decoder.config, vocabSize: 9 } }),
      }),
    };
    expect(await allOf(ilql(wide)).catch((e: unknown) => e)).toBeInstanceOf(ConfigError);
  });
});

/** The τ-expectile of equally likely values by bisection: where τ Σ (x - e)⁺ = (1 - τ) Σ (e - x)⁺. */
function expectile(x: readonly number[], tau: number): number {
  let [low, high] = [Math.min(...x), Math.max(...x)];
  for (let i = 0; i < 60; i++) {
    const e = (low + high) / 2;
    if (x.reduce((sum, value) => sum + (value > e ? tau : 1 - tau) * (value - e), 0) > 0) low = e;
    else high = e;
  }
  return (low + high) / 2;
}
