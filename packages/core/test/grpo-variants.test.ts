/** GRPO's family: each option does what it says and survives a resume. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import type { TrainingState } from "../src/checkpoint/state";
import { ConfigError } from "../src/errors";
import { generate } from "../src/generate/generate";
import type { RewardFunction } from "../src/rl/rewards";
import type { RolloutFunction } from "../src/rl/rollout-function";
import { type GrpoOptions, grpo } from "../src/trainers/grpo";
import { resolveGrpo } from "../src/trainers/grpo-settings";
import { type GrpoPreset, grpoPresets } from "../src/trainers/presets";
import { movement, options } from "./grpo-run";
import { allOf, createRoundedDevice, relativeDistance, tinyModel, weightsOf } from "./trainer-model";

/** Sampled completions whose sampler log-probabilities are off by `shift`. */
const shifted =
  (shift: number): RolloutFunction =>
  async (request) =>
    (await generate(request)).map((completion) => ({ ...completion, logps: completion.logps.map((logp) => logp - shift) }));

describe("what weakens the surrogate", () => {
  test("completions outside the sampler's bounds are dropped, others weighted", async () => {
    const weighted = (extra: Partial<GrpoOptions>) => movement({ maxSteps: 1, rolloutFunction: shifted(0.1), ...extra });
    const plain = await weighted({});
    const even = await weighted({ samplingImportanceCorrection: true, samplingImportanceMode: "token_truncate" });
    // Every token has the weight e^0.1.
    const scaled = plain.moved.map((flat) => flat.map((value) => value * Math.exp(0.1)));
    // Adam's step is not quite proportional to the gradient.
    expect(relativeDistance(even.moved, scaled)).toBeLessThan(0.02);
    const masked = await weighted({ samplingImportanceCorrection: true, samplingImportanceClipMax: 1.05 });
    expect(masked.metrics[0]).toMatchObject({ grad_norm: 0 });
    expect(masked.metrics[0]?.["sampling/importance_sampling_ratio/min"]).toBeGreaterThan(1.05);
  });

  test("completions that the policy has left learn only where they were good", async () => {
    // The sampler held every token for far likelier than the policy does: mean log-ratio 1.
    const far = { maxSteps: 1, rolloutFunction: shifted(-1) };
    const [plain, masked, open] = [
      await movement(far),
      await movement({ ...far, offPolicyMaskThreshold: 0.5 }),
      await movement({ ...far, offPolicyMaskThreshold: 1.5 }),
    ];
    expect(relativeDistance(open.moved, plain.moved)).toBeLessThan(1e-9);
    expect(relativeDistance(masked.moved, plain.moved)).toBeGreaterThan(0.1);
    const onlyGood: RewardFunction = ({ completions }) => completions.map((_, i) => (i % 4 === 0 ? 0 : 1));
    const bad = await movement({ ...far, rewards: onlyGood, scaleRewards: "none", offPolicyMaskThreshold: 0.5 });
    expect(bad.metrics[0]?.grad_norm).toBeGreaterThan(0);
  });

  test("only the most uncertain tokens learn, the KL term stays, and the step reads back once more", async () => {
    const [all, some] = [await movement({ maxSteps: 1 }), await movement({ maxSteps: 1, topEntropyQuantile: 0.2 })];
    expect(some.metrics[0]?.grad_norm).toBeLessThan(all.metrics[0]?.grad_norm as number);
    expect(some.metrics[0]?.entropy).toBe(all.metrics[0]?.entropy);
    const same: RewardFunction = ({ completions }) => completions.map(() => 1);
    const reference = tinyModel(createReferenceDevice(), { seed: 8 });
    const kl = (extra: Partial<GrpoOptions>) =>
      movement({ model: tinyModel(reference.decoder.device), reference, rewards: same, beta: 0.1, maxSteps: 1, ...extra });
    expect((await kl({ topEntropyQuantile: 0.2 })).moved).toEqual((await kl({})).moved);
    const run = options({ numIterations: 4, maxSteps: 4, topEntropyQuantile: 0.5 });
    const seen: number[] = [];
    for await (const _ of grpo(run)) seen.push(run.model.decoder.device.counters.readbacks);
    expect(seen.slice(1).map((n, i) => n - (seen[i] as number))).toEqual([2, 2, 2]);
  });

  test("tokens of an environment cannot matter, not even NaN", async () => {
    const withTool =
      (poison: number): RolloutFunction =>
      async (request) =>
        (await generate(request)).map((completion) => ({
          ...completion,
          tokens: Uint32Array.of(...completion.tokens, 7, 9),
          logps: Float32Array.of(...completion.logps, poison, poison),
          mask: Uint8Array.of(...completion.tokens.map(() => 1), 0, 0),
        }));
    const extra = { lossType: "vespo" as const, samplingImportanceCorrection: true, offPolicyMaskThreshold: 10, beta: 0.1 };
    const clean = await movement({ ...extra, rolloutFunction: withTool(0) });
    const poisoned = await movement({ ...extra, rolloutFunction: withTool(Number.NaN) });
    expect(poisoned).toEqual(clean);
  });
});

describe("entropy", () => {
  test("the adaptive bonus grows below its target and stops above it", async () => {
    const coefs = async (entropyTarget: number) => {
      const { metrics } = await movement({
        useAdaptiveEntropy: true,
        entropyTarget,
        entropyCoefDelta: 0.1,
        entropyCoefMax: 0.15,
        maxSteps: 4,
      });
      return metrics.map((step) => Number((step.entropy_coef as number).toFixed(9)));
    };
    expect(await coefs(100)).toEqual([0, 0.1, 0.15, 0.15]);
    expect(await coefs(0)).toEqual([0, 0, 0, 0]);
  });

  test("a bonus keeps the policy uncertain", async () => {
    const low: RewardFunction = ({ completionIds }) => completionIds.map((ids) => ids.filter((id) => id < 40).length / ids.length);
    const entropyAfter = async (entropyCoef: number) => {
      const steps = await allOf(grpo(options({ rewards: low, learningRate: 0.05, maxSteps: 6, entropyCoef })));
      return steps.at(-1)?.metrics.entropy as number;
    };
    expect(await entropyAfter(1)).toBeGreaterThan((await entropyAfter(0)) + 0.1);
  });
});

describe("rewards and groups", () => {
  test("GDPO normalises each reward by itself, so that a large one does not drown the others", async () => {
    const large: RewardFunction = ({ completions }) => completions.map((_, i) => 1000 * (i % 2));
    const small: RewardFunction = ({ completions }) => completions.map((_, i) => (i % 4 < 2 ? 0 : 1e-3));
    const advantages = async (multiObjectiveAggregation: "sum_then_normalize" | "normalize_then_sum") => {
      const [step] = await allOf(grpo(options({ rewards: [large, small], multiObjectiveAggregation, maxSteps: 1 })));
      return step?.completions.slice(0, 4).map(({ advantage }) => advantage) as number[];
    };
    const [sum, each] = [await advantages("sum_then_normalize"), await advantages("normalize_then_sum")];
    expect(Math.abs((sum[0] as number) - (sum[2] as number))).toBeLessThan(1e-4);
    expect((each[2] as number) - (each[0] as number)).toBeGreaterThan(0.5);
    expect((each[3] as number) - (each[1] as number)).toBeGreaterThan(0.5);
  });

  test("process supervision credits the steps that are still to come", async () => {
    // The first token is one step, the rest another; rewards 0 and 1 in turn.
    const steps: RewardFunction = ({ completionIds }) =>
      completionIds.map((ids, i) => ({
        total: i % 2,
        steps: ids.length > 1 ? [{ end: 0, value: 1 }, { end: ids.length - 1, value: i % 2 }] : [{ end: 0, value: i % 2 }], // biome-ignore format: one step a line says less
      }));
    const process = options({ rewards: steps, supervision: "process", maxSteps: 1 });
    const outcome = options({ rewards: steps, maxSteps: 1 });
    const [a, b] = [(await allOf(grpo(process)))[0], (await allOf(grpo(outcome)))[0]];
    expect(a?.completions.map((c) => c.completion)).toEqual(b?.completions.map((c) => c.completion));
    const [good, bad] = [a?.completions[1]?.advantage as number, a?.completions[0]?.advantage as number];
    expect(good).toBeGreaterThan(bad);
    expect(a?.completions.map((c) => c.advantage)).not.toEqual(b?.completions.map((c) => c.advantage));
    // Without steps it is outcome supervision.
    const plain = options({ supervision: "process", maxSteps: 1 });
    const same = options({ maxSteps: 1 });
    await allOf(grpo(plain));
    await allOf(grpo(same));
    expect(await weightsOf(plain.model)).toEqual(await weightsOf(same.model));
  });

  test("dynamic sampling replaces groups without spread, keeps the batch whole, and gives up in the end", async () => {
    // Only the prompt "x" ever has a spread.
    const picky: RewardFunction = ({ prompts }) => prompts.map((prompt, i) => (prompt === "x" ? i % 2 : 1));
    const run = options({ rewards: picky, dynamicSampling: true, shuffleDataset: false, maxSteps: 2 });
    const steps = await allOf(grpo(run));
    for (const { completions, metrics } of steps) {
      expect(completions.map(({ prompt }) => prompt)).toEqual(new Array(8).fill("x"));
      expect(metrics["dynamic_sampling/attempts"]).toBeGreaterThan(0);
      expect(metrics["dynamic_sampling/replaced_groups"]).toBeGreaterThan(1);
      // What was sampled, not what was kept.
      expect(metrics.frac_reward_zero_std).toBeGreaterThan(0.4);
      expect(metrics.grad_norm).toBeGreaterThan(0);
    }
    // Six prompts were sampled for the two groups, four completions each.
    expect(steps[0]?.metrics.num_tokens).toBeGreaterThan(6 * 4 * 2);
    // ab, hello | x, ab | hello | x: six prompts for two groups.
    expect(steps[0]?.metrics.epoch).toBeCloseTo(2, 12);
    const hopeless = options({
      rewards: ({ completions }) => completions.map(() => 1),
      dynamicSampling: true,
      maxResamplingAttempts: 3,
      maxSteps: 1,
    });
    const [step] = await allOf(grpo(hopeless));
    expect(step?.completions).toHaveLength(8);
    expect(step?.metrics).toMatchObject({ "dynamic_sampling/attempts": 3, "dynamic_sampling/replaced_groups": 6, grad_norm: 0 });
  });

  test("dynamic sampling changes nothing where every group has a spread", async () => {
    const [plain, dynamic] = [options({}), options({ dynamicSampling: true })];
    const [a, b] = [await allOf(grpo(plain)), await allOf(grpo(dynamic))];
    expect(b.map(({ completions }) => completions)).toEqual(a.map(({ completions }) => completions));
    expect(await weightsOf(dynamic.model)).toEqual(await weightsOf(plain.model));
  });
});

describe("a reference that follows", () => {
  test("replaced by the policy its KL is 0 again; mixed it lies between; a given model is left alone", async () => {
    const kls = async (extra: Partial<GrpoOptions>) => {
      const steps = await allOf(grpo(options({ logKl: true, learningRate: 0.05, maxSteps: 4, ...extra })));
      return steps.map(({ metrics }) => metrics.kl as number);
    };
    const [fixed, replaced, mixed] = [
      await kls({}),
      await kls({ syncRefModel: true, refModelMixupAlpha: 1, refModelSyncSteps: 2 }),
      await kls({ syncRefModel: true, refModelMixupAlpha: 0.5, refModelSyncSteps: 2 }),
    ];
    expect(replaced.slice(0, 2)).toEqual(fixed.slice(0, 2));
    expect(replaced[1]).toBeGreaterThan(1e-4);
    expect(replaced[2]).toBeLessThan(1e-12);
    expect(mixed[2]).toBeGreaterThan(1e-6);
    expect(mixed[2]).toBeLessThan(fixed[2] as number);

    const reference = tinyModel(createReferenceDevice(), { seed: 8 });
    const before = await weightsOf(reference);
    const { device } = reference.decoder;
    const model = tinyModel(device);
    model.decoder.parameters.grads();
    const bytes = device.counters.liveBytes;
    await allOf(grpo(options({ model, reference, beta: 0.1, syncRefModel: true, refModelSyncSteps: 1 })));
    expect(await weightsOf(reference)).toEqual(before);
    expect(device.counters.liveBytes).toBe(bytes);
  });
});

test.each([1, 2, 3])("a run with everything that moves, resumed after step %i, ends with the same bits", async (at) => {
  const everything: Partial<GrpoOptions> = {
    maxSteps: 5,
    perDeviceTrainBatchSize: 4,
    stepsPerGeneration: 2,
    beta: 0.05,
    syncRefModel: true,
    refModelMixupAlpha: 0.5,
    refModelSyncSteps: 2,
    useAdaptiveEntropy: true,
    entropyTarget: 5.54,
    entropyCoefDelta: 0.01,
    dynamicSampling: true,
    samplingImportanceCorrection: true,
    topEntropyQuantile: 0.8,
    offPolicyMaskThreshold: 0.5,
    lossType: "sapo",
    rewards: ({ prompts, completionIds }) => prompts.map((prompt, i) => (prompt === "ab" ? 1 : (completionIds[i]?.[0] as number) % 7)),
  };
  const whole = options({ ...everything, model: tinyModel(createRoundedDevice()) });
  const seen: unknown[] = [];
  let resume: TrainingState | undefined;
  for await (const step of grpo(whole)) {
    seen.push([step.metrics, step.completions]);
    if (step.step === at) resume = await step.state();
  }
  const run = JSON.parse(JSON.stringify(resume?.run)) as Record<string, unknown>;
  const model = tinyModel(createRoundedDevice());
  const steps = await allOf(grpo({ ...whole, model, resume: { ...(resume as TrainingState), run } }));
  expect(steps.map((step) => [step.metrics, step.completions])).toEqual(seen.slice(at));
  expect(await weightsOf(model)).toEqual(await weightsOf(whole.model));
});

describe("presets", () => {
  test.each(Object.keys(grpoPresets) as GrpoPreset[])("%s resolves, and what is given beside it wins", (preset) => {
    const sizes = { perDeviceTrainBatchSize: 64, numGenerations: undefined };
    const settings = resolveGrpo(options({ ...sizes, preset }));
    const recipe = grpoPresets[preset] as Partial<GrpoOptions>;
    expect(settings.numGenerations).toBe(recipe.numGenerations ?? 8);
    expect(settings.plan.topEntropyQuantile).toBe(recipe.topEntropyQuantile ?? 1);
    expect(settings.plan.clip.epsilonLow).toBe(recipe.epsilon ?? 0.2);
    expect(settings.reference.isNeeded).toBe((recipe.beta ?? 0) > 0);
    const given = resolveGrpo(options({ ...sizes, preset, epsilon: 0.123, topEntropyQuantile: 0.9, numGenerations: 4 }));
    expect([given.plan.clip.epsilonLow, given.plan.topEntropyQuantile, given.numGenerations]).toEqual([0.123, 0.9, 4]);
  });

  test("a preset is the options it stands for", async () => {
    const [named, spelt] = [
      options({ preset: "dr-grpo", numGenerations: 4 }),
      options({ lossType: "dr_grpo", scaleRewards: "none", numGenerations: 4 }),
    ];
    await allOf(grpo(named));
    await allOf(grpo(spelt));
    expect(await weightsOf(named.model)).toEqual(await weightsOf(spelt.model));
  });
});

test("options that contradict each other are refused together", async () => {
  const run = options({
    preset: "grpo-9" as "dapo",
    lossType: "vespo",
    importanceSamplingLevel: "sequence",
    delta: 4,
    dualClip: 3,
    topEntropyQuantile: 0,
    syncRefModel: true,
    supervision: "process",
    multiObjectiveAggregation: "normalize_then_sum",
    samplingImportanceMode: "tokens" as "token_mask",
  });
  const error = await allOf(grpo(run)).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as Error).message).toMatch(
    /`preset`.*`importanceSamplingLevel`.*`delta`.*`dualClip`.*`samplingImportanceMode`.*`topEntropyQuantile`.*`multiObjectiveAggregation`.*`syncRefModel`/,
  );
});
