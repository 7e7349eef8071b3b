/** Algorithms that sample and are rewarded: the exact value of the policy beside the best there is. */
import {
  a2c,
  type GrpoOptions,
  type GrpoRecipe,
  grpo,
  grpoPresets,
  type LanguageModel,
  onlineDpo,
  ppo,
  reinforce,
  rloo,
  sampleBestOfN,
  sft,
  trpo,
} from "@trimtab/node";
import type { Algorithm, Arena, Run } from "./algorithm";
import { tinyModel } from "./algorithm";
import { enumerate, klOf, optimumOf, policyValue } from "./exact";
import { heldOutContexts, payment, trainingContexts } from "./task";

const contexts = [...trainingContexts, ...heldOutContexts];

/** What every trainer that samples is given. */
export type Sampling = Pick<GrpoOptions, "prompts" | "rewards"> & {
  readonly model: LanguageModel;
  readonly maxCompletionLength: number;
  readonly maxSteps: number;
  readonly perDeviceTrainBatchSize: number;
  readonly learningRate: number;
  readonly temperature: number;
  readonly seed: number;
};

interface Plan {
  readonly page: string;
  readonly setting: string;
  /** Tokens of a completion. Default 1. */
  readonly length?: number;
  /** The price of the KL in the objective. Default 0. */
  readonly beta?: number;
  readonly stepCount?: number;
  readonly learningRate?: number;
  /** Completions per step. Default 96. */
  readonly completions?: number;
  readonly train: (options: Sampling) => AsyncIterable<unknown>;
}

/** The exact value of what the trainer makes of a new model, on all contexts. */
function policyAlgorithm(name: string, plan: Plan): Algorithm {
  const { page, setting, length = 1, beta = 0, stepCount = 60, learningRate = 0.02, completions = 96 } = plan;
  return {
    name,
    page,
    setting,
    stepCount,
    measures: beta > 0 ? "reward - β KL" : "reward",
    async start(arena: Arena): Promise<Run> {
      const model = tinyModel(arena);
      const { decoder } = model;
      const shape = { length, isEnd: (token: number) => decoder.config.eosTokenIds.includes(token) };
      const first = await enumerate(model, contexts, length);
      const optimum = optimumOf(first, beta, contexts, shape);
      const now = () => enumerate(model, contexts, length);
      const steps = plan.train({
        model,
        prompts: contexts,
        rewards: payment(length),
        maxCompletionLength: length,
        maxSteps: stepCount,
        perDeviceTrainBatchSize: completions,
        learningRate,
        temperature: 1,
        seed: arena.seed,
      });
      return {
        steps,
        measure: async () => ({ value: policyValue(await now(), first, beta, contexts, shape), optimum }),
        ...(length === 1 ? { further: async () => ({ KL: klOf(await now(), first, contexts) }) } : {}),
        dispose: () => decoder.dispose(),
      };
    },
  };
}

const BETA = 0.3;

/** More to explore: smaller steps, and more of them. */
const threeTokens = { length: 3, stepCount: 120, learningRate: 0.01 };

const grpoWith = (setting: string, recipe: GrpoRecipe, plan: Partial<Plan> = {}): Plan => ({
  page: "grpo",
  setting,
  train: (options) => grpo({ ...options, numIterations: 2, ...recipe, maskTruncatedCompletions: false }),
  ...plan,
});

/** Best of n and supervised learning on the best, over and over. */
async function* rejectionSampling(options: Sampling, rounds: number): AsyncGenerator<unknown> {
  const { model, prompts, rewards, maxCompletionLength, seed, learningRate } = options;
  for (let round = 0; round < rounds; round++) {
    const best = await sampleBestOfN({
      model,
      rows: prompts,
      rewards: [rewards].flat(),
      numGenerations: 32,
      maxCompletionLength,
      dropTruncated: false,
      seed: seed + round,
    });
    const steps = options.maxSteps / rounds;
    yield* sft({ model, dataset: best.rows, maxSteps: steps, perDeviceTrainBatchSize: prompts.length, learningRate, seed: seed + round });
  }
}

export const policyAlgorithms: readonly Algorithm[] = [
  policyAlgorithm("grpo", grpoWith("lossType grpo", { lossType: "grpo" })),
  policyAlgorithm(
    "grpo-kl",
    grpoWith(
      "dr_grpo, scaleRewards none, beta 0.3",
      { lossType: "dr_grpo", scaleRewards: "none", beta: BETA },
      { beta: BETA, stepCount: 100 },
    ),
  ),
  policyAlgorithm("grpo-3-tokens", grpoWith("lossType grpo, 3 tokens", { lossType: "grpo" }, threeTokens)),
  policyAlgorithm("bnpo", grpoWith("lossType bnpo", { lossType: "bnpo" })),
  policyAlgorithm("dr_grpo", grpoWith("preset dr-grpo", grpoPresets["dr-grpo"])),
  policyAlgorithm("dapo", grpoWith("preset dapo", { ...grpoPresets.dapo }, { completions: 192, stepCount: 80 })),
  policyAlgorithm("gspo", grpoWith("sequence ratios, 3 tokens", { lossType: "grpo", importanceSamplingLevel: "sequence" }, threeTokens)),
  policyAlgorithm(
    "gspo_token",
    grpoWith("sequence_token ratios, 3 tokens", { lossType: "grpo", importanceSamplingLevel: "sequence_token" }, threeTokens),
  ),
  policyAlgorithm("cispo", grpoWith("lossType cispo", { lossType: "cispo" })),
  policyAlgorithm("sapo", grpoWith("lossType sapo", { lossType: "sapo" })),
  policyAlgorithm("gmpo", grpoWith("lossType gmpo", { lossType: "gmpo" })),
  policyAlgorithm("vespo", grpoWith("lossType vespo", { lossType: "vespo" })),
  policyAlgorithm("luspo", grpoWith("lossType luspo, sequence ratios", { lossType: "luspo", importanceSamplingLevel: "sequence" })),
  policyAlgorithm("rloo", {
    page: "rloo",
    setting: "beta 0.3",
    beta: BETA,
    train: (options) => rloo({ ...options, beta: BETA, numGenerations: 4 }),
  }),
  policyAlgorithm("rloo-3-tokens", {
    page: "rloo",
    setting: "beta 0.05, 3 tokens",
    beta: 0.05,
    ...threeTokens,
    train: (options) => rloo({ ...options, beta: 0.05, numGenerations: 4 }),
  }),
  ...(["none", "mean", "running_mean"] as const).map((baseline) =>
    policyAlgorithm(`reinforce-${baseline}`, {
      page: "reinforce",
      setting: `baseline ${baseline}`,
      stepCount: 100,
      train: (options) => reinforce({ ...options, baseline }),
    }),
  ),
  ...(["total", "reward_to_go"] as const).map((credit) =>
    policyAlgorithm(`reinforce-${credit}`, {
      page: "reinforce",
      setting: `credit ${credit}, beta 0.05, 3 tokens`,
      ...threeTokens,
      // Without a price of the KL a baseline that all prompts share lets some prompt settle on the second best before it has tried the best.
      beta: 0.05,
      train: (options) => reinforce({ ...options, credit, beta: 0.05 }),
    }),
  ),
  policyAlgorithm("reinforce-kl", {
    page: "reinforce",
    setting: "beta 0.3 in the reward",
    beta: BETA,
    stepCount: 100,
    train: (options) => reinforce({ ...options, beta: BETA }),
  }),
  ...(["reinforce_plus_plus", "reinforce_plus_plus_baseline", "remax", "opo", "gpg"] as const).map((advantageEstimator) =>
    policyAlgorithm(advantageEstimator, {
      page: "reinforce",
      setting: `advantageEstimator ${advantageEstimator}`,
      train: (options) => reinforce({ ...options, advantageEstimator }),
    }),
  ),
  ...(["gae", "td", "monte_carlo", "q"] as const).map((advantage) =>
    policyAlgorithm(`a2c-${advantage}`, {
      page: "a2c",
      setting: `advantage ${advantage}`,
      stepCount: 120,
      learningRate: 0.01,
      train: (options) => a2c({ ...options, advantage }),
    }),
  ),
  policyAlgorithm("ppo", {
    page: "ppo",
    setting: "separate value model, klCoef 0.3",
    beta: BETA,
    train: (options) => ppo({ ...options, klCoef: BETA, numPpoEpochs: 2 }),
  }),
  policyAlgorithm("ppo-shared", {
    page: "ppo",
    setting: "shared trunk, klCoef 0.3",
    beta: BETA,
    train: (options) => ppo({ ...options, klCoef: BETA, numPpoEpochs: 2, valueModel: "shared" }),
  }),
  policyAlgorithm("ppo-penalty", {
    page: "ppo",
    setting: "adaptive KL penalty, klCoef 0.3",
    beta: BETA,
    train: (options) => ppo({ ...options, klCoef: BETA, numPpoEpochs: 2, penalty: "kl" }),
  }),
  policyAlgorithm("ppo-3-tokens", {
    page: "ppo",
    setting: "klCoef 0.05, 3 tokens",
    beta: 0.05,
    ...threeTokens,
    train: (options) => ppo({ ...options, klCoef: 0.05, numPpoEpochs: 2, lam: 1 }),
  }),
  policyAlgorithm("trpo", {
    page: "trpo",
    setting: "delta 0.02, damping 0.01, fisherSubset 0.25, cgIterations 5",
    stepCount: 60,
    completions: 192,
    train: (options) => trpo({ ...options, delta: 0.02, damping: 0.01, fisherSubset: 0.25, cgIterations: 5 }),
  }),
  policyAlgorithm("npg", {
    page: "trpo",
    setting: "lineSearch false, delta 0.02, damping 0.01, fisherSubset 0.25, cgIterations 5",
    stepCount: 60,
    completions: 192,
    train: (options) => trpo({ ...options, delta: 0.02, damping: 0.01, fisherSubset: 0.25, cgIterations: 5, lineSearch: false }),
  }),
  policyAlgorithm("online-dpo", {
    page: "online-dpo",
    setting: "beta 0.1, pairs ranked by the reward",
    learningRate: 0.01,
    stepCount: 120,
    train: (options) => onlineDpo({ ...options, beta: 0.1 }),
  }),
  policyAlgorithm("best-of-n", {
    page: "rejection-sampling",
    setting: "8 rounds of best of 32 and SFT",
    stepCount: 80,
    train: (options) => rejectionSampling(options, 8),
  }),
];
