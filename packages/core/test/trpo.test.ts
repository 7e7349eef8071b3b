/** TRPO: the step keeps its bound and its promise, a rejected one changes nothing, it solves bandits, resuming is not having stopped. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Tape } from "../src/autograd/tape";
import type { TrainingState } from "../src/checkpoint/state";
import { collate } from "../src/data/batch";
import { ConfigError } from "../src/errors";
import { generate } from "../src/generate/generate";
import type { Completion } from "../src/generate/options";
import { targetHidden } from "../src/models/logprobs";
import { logits } from "../src/nn/head";
import type { Metrics } from "../src/rl/metrics";
import type { RewardFunction } from "../src/rl/rewards";
import type { TrainingModel } from "../src/trainers/training-model";
import { type TrpoOptions, trpo } from "../src/trainers/trpo";
import { ARMS, armLogps, banditModel, banditPrompts, banditReward, shareOfOptimum } from "./bandit";
import { allOf, relativeDistance, weightsOf } from "./trainer-model";

const wasm = await createWasmDevice({ relaxed: false });
afterAll(() => wasm.destroy());

/** Any spread of rewards, among completions of several lengths. */
const spread: RewardFunction = ({ completionIds }) => completionIds.map((ids) => ((ids[0] as number) * 5 + ids.length) % 7);

/** Token 0 ends a completion, so that lengths differ. */
function model(device = wasm, seed = 5): TrainingModel {
  const made = banditModel(device);
  made.decoder.parameters.initialise(seed);
  return made;
}

const options = (extra: Partial<TrpoOptions> = {}): TrpoOptions => ({
  model: model(),
  prompts: [{ prompt: "!#" }, { prompt: "&" }, { prompt: "%$!" }],
  rewards: spread,
  perDeviceTrainBatchSize: 12,
  numGenerations: 4,
  maxCompletionLength: 6,
  maxSteps: 1,
  ...extra,
});

/** log π of every token of the vocabulary at each token of some completions, in f64 from the logits. (M)[V] */
async function distributions({ decoder }: TrainingModel, completions: readonly Completion[]): Promise<number[][]> {
  const sequences = completions.map(({ promptTokens, tokens }) => ({
    tokens: Uint32Array.from([...promptTokens, ...tokens]),
    mask: Uint8Array.from([...promptTokens.map(() => 0), ...tokens.map(() => 1)]),
  }));
  const tape = new Tape(decoder.device, { grad: false });
  const values = (await decoder.device.read(
    logits(tape, targetHidden(tape, decoder, collate(sequences, ARMS)), decoder.head),
  )) as Float32Array;
  tape.dispose();
  return Array.from({ length: values.length / ARMS }, (_, m) => {
    const z = [...values.subarray(m * ARMS, (m + 1) * ARMS)];
    const lse = Math.log(z.reduce((sum, x) => sum + Math.exp(x), 0));
    return z.map((x) => x - lse);
  });
}

describe("a step", () => {
  const variants = fc.record({
    seed: fc.integer({ min: 0, max: 1000 }),
    delta: fc.constantFrom(0.001, 0.01, 0.1),
    damping: fc.constantFrom(0.1, 0.001),
    advantage: fc.constantFrom("group", "leave_one_out", "return"),
    weighting: fc.constantFrom("token", "sequence"),
    fisherSubset: fc.constantFrom(1, 0.3),
  } as const);

  test("never violates its KL bound and never lowers the surrogate: both measured anew from the logits", async () => {
    await fc.assert(
      fc.asyncProperty(variants, async (variant) => {
        let completions: readonly Completion[] = [];
        const run = options({
          ...variant,
          model: model(wasm, variant.seed),
          rolloutFunction: async (request) => {
            completions = await generate(request);
            return completions;
          },
        });
        const before = model(wasm, variant.seed);
        const [step] = await allOf(trpo(run));
        const [old, now] = [await distributions(before, completions), await distributions(run.model, completions)];
        const tokens = completions.flatMap((completion, row) => [...completion.tokens].map((token) => ({ token, row })));
        const weight = (row: number) =>
          variant.weighting === "token" ? 1 / tokens.length : 1 / (completions.length * (completions[row] as Completion).tokens.length);
        let [kl, improvement] = [0, 0];
        tokens.forEach(({ token, row }, m) => {
          const [p, q] = [old[m] as number[], now[m] as number[]];
          kl += weight(row) * p.reduce((sum, logp, j) => sum + Math.exp(logp) * (logp - (q[j] as number)), 0);
          const advantage = variant.advantage === "return" ? 0 : (step?.completions[row]?.advantage as number);
          improvement += weight(row) * advantage * (Math.exp((q[token] as number) - (p[token] as number)) - 1);
        });
        expect(kl).toBeLessThanOrEqual(variant.delta * (1 + 1e-4));
        expect(step?.metrics["trust_region/kl"]).toBeCloseTo(kl, 6);
        expect(step?.metrics["trust_region/improvement"]).toBeGreaterThanOrEqual(0);
        if (variant.advantage !== "return") expect(step?.metrics["trust_region/improvement"]).toBeCloseTo(improvement, 5);
        before.decoder.dispose();
        run.model.decoder.dispose();
      }),
      { seed: 7, numRuns: 12 },
    );
  });

  /** So small that the quadratic model of the KL is nearly exact, and so little damped that it is the KL: the full step is 2 % beyond the bound. */
  const precise = { delta: 1e-4, damping: 1e-6 };

  test("without the search is taken whole, and its KL is the bound: the natural gradient", async () => {
    const [whole] = await allOf(trpo(options({ ...precise, lineSearch: false })));
    expect(whole).toMatchObject({ lineSearch: "accepted", metrics: { "trust_region/backtracks": 0 } });
    expect((whole?.metrics["trust_region/kl"] as number) / precise.delta).toBeGreaterThan(1);
    expect((whole?.metrics["trust_region/kl"] as number) / precise.delta).toBeLessThan(1.05);
    const [cut] = await allOf(trpo(options(precise)));
    expect(cut).toMatchObject({ lineSearch: "accepted", metrics: { "trust_region/backtracks": 1 } });
    const norms = [cut, whole].map((step) => step?.metrics["trust_region/step_norm"] as number) as [number, number];
    expect(norms[0] / norms[1]).toBeCloseTo(0.8, 5);
    expect((cut?.metrics["trust_region/kl"] as number) / precise.delta).toBeCloseTo(0.64, 1);
  });

  test("that no length of which is good enough is rejected, and the weights keep their bits", async () => {
    const run = options({ ...precise, backtrackIterations: 1 });
    const before = await weightsOf(run.model);
    const [step] = await allOf(trpo(run));
    expect(step?.lineSearch).toBe("rejected");
    expect(step?.metrics).toMatchObject({
      "trust_region/accepted": 0,
      "trust_region/backtracks": 1,
      "trust_region/kl": 0,
      "trust_region/improvement": 0,
      "trust_region/step_norm": 0,
    });
    expect(await weightsOf(run.model)).toEqual(before);
  });

  test("moves only the parameters that are asked for", async () => {
    const run = options({ trainable: (name) => name.endsWith("attention.out") });
    const { parameters, device } = run.model.decoder;
    const read = () => Promise.all(parameters.all.map(async ({ name, value }) => [name, await device.read(value)] as const));
    const before = await read();
    const [step] = await allOf(trpo(run));
    expect(step?.lineSearch).toBe("accepted");
    for (const [i, [name, values]] of (await read()).entries()) {
      if (name.endsWith("attention.out")) expect(values).not.toEqual(before[i]?.[1]);
      else expect(values).toEqual(before[i]?.[1]);
    }
  });

  test("does not depend on micro-batches, and frees what it allocated", async () => {
    const train = async (extra: Partial<TrpoOptions>) => {
      const run = options({ model: model(createReferenceDevice()), ...extra });
      const before = run.model.decoder.device.counters.liveBytes;
      const [step] = await allOf(trpo(run));
      expect(run.model.decoder.device.counters.liveBytes).toBe(before);
      return { weights: await weightsOf(run.model), metrics: step?.metrics as Metrics };
    };
    const whole = await train({});
    for (const extra of [
      { perDeviceTrainBatchSize: 3, gradientAccumulationSteps: 4 },
      { maxTokensPerMicroBatch: 20, gradientCheckpointing: true },
    ]) {
      const split = await train(extra);
      expect(relativeDistance(split.weights, whole.weights)).toBeLessThan(1e-6);
      expect(split.metrics["trust_region/kl"]).toBeCloseTo(whole.metrics["trust_region/kl"] as number, 7);
    }
  });

  test("is skipped, and changes nothing, where there is nothing to learn", async () => {
    for (const extra of [
      { rewards: (({ completions }) => completions.map(() => 1)) as RewardFunction },
      { rewards: (({ completions }) => completions.map(() => null)) as RewardFunction, advantage: "return" as const },
      { model: { ...model(), generationConfig: { eosTokenIds: [] } }, maskTruncatedCompletions: true },
    ]) {
      const run = options(extra);
      const before = await weightsOf(run.model);
      const [step] = await allOf(trpo(run));
      expect(step?.lineSearch).toBe("skipped");
      expect(step?.metrics).toMatchObject({ grad_norm: 0, skipped_steps: 0, "trust_region/accepted": 0, "trust_region/kl": 0 });
      expect(await weightsOf(run.model)).toEqual(before);
    }
  });
});

describe("a run", () => {
  const bandit = (extra: Partial<TrpoOptions>) =>
    options({
      prompts: banditPrompts,
      rewards: banditReward,
      maxCompletionLength: 1,
      perDeviceTrainBatchSize: 64,
      numGenerations: 64,
      delta: 0.1,
      damping: 0.01,
      ...extra,
    });

  test.each([
    { name: "group advantages", extra: { maxSteps: 25 } },
    { name: "whitened returns and the KL to the start as a price", extra: { maxSteps: 25, advantage: "return" as const, klCoef: 0.05 } },
    {
      name: "a value model",
      extra: { maxSteps: 25, advantage: "gae" as const, learningRate: 0.02, lrSchedulerType: "constant" as const },
    },
    {
      name: "the natural gradient over attention and head",
      extra: { maxSteps: 30, lineSearch: false, trainable: (name: string) => /attention|head/.test(name) },
    },
  ])("solves bandits with $name", async ({ extra }) => {
    const run = bandit(extra);
    await allOf(trpo(run));
    const share = shareOfOptimum(await armLogps(run.model), await armLogps(model()), run.klCoef ?? 0);
    expect(share).toBeGreaterThan(0.95);
  });

  test.each([
    { at: 1, settings: { fisherSubset: 0.5, klCoef: 0.05, advantage: "return" as const } },
    { at: 2, settings: { advantage: "gae" as const, valueModel: "shared" as const } },
    { at: 3, settings: { advantage: "gae" as const, lineSearch: false } },
  ])("resumed after step $at ends with the same bits", async ({ at, settings: own }) => {
    const settings = { maxSteps: 4, ...own };
    const whole = options(settings);
    const metrics: Metrics[] = [];
    let resume: TrainingState | undefined;
    for await (const step of trpo(whole)) {
      metrics.push(step.metrics);
      if (step.step === at) resume = await step.state();
    }
    const run = JSON.parse(JSON.stringify(resume?.run)) as Record<string, unknown>;
    const resumed = options({ ...settings, resume: { ...(resume as TrainingState), run } });
    expect((await allOf(trpo(resumed))).map((step) => step.metrics)).toEqual(metrics.slice(at));
    expect(await weightsOf(resumed.model)).toEqual(await weightsOf(whole.model));
  });

  test("reports the KL to its start as objective/kl, from 0 on", async () => {
    const steps = await allOf(trpo(options({ klCoef: 0.1, maxSteps: 3, delta: 0.05 })));
    expect(steps[0]?.metrics["objective/kl"]).toBe(0);
    expect(steps[2]?.metrics["objective/kl"]).not.toBe(0);
  });

  test("names every bad option before any work", async () => {
    const run = options({
      delta: 0,
      damping: -1,
      cgIterations: 0,
      backtrackCoefficient: 1,
      fisherSubset: 2,
      valueIterations: 0,
      trainable: () => false,
      advantage: "best" as "group",
    });
    const error = await allOf(trpo(run)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(
      /advantage.*trainable.*backtrackCoefficient.*delta.*damping.*cgIterations.*fisherSubset.*valueIterations/,
    );
  });
});
