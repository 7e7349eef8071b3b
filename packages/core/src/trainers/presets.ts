/**
 * Published recipes as options of GRPO, under the names that TRL's paper index and this project's documentation give them.
 *
 * They hold what makes the algorithm; completion lengths, batch sizes and, but for two, learning rates belong to the model and are left to you.
 */
import type { GrpoRecipe } from "./grpo-options";
import type { RolloutOptions } from "./rollout-options";

/** GRPO's own options, and those of sampling and optimising that recipes speak of. */
export type PresetOptions = GrpoRecipe &
  Partial<
    Pick<
      RolloutOptions,
      "learningRate" | "numGenerations" | "stepsPerGeneration" | "temperature" | "topK" | "topP" | "maskTruncatedCompletions"
    >
  >;

export const grpoPresets = {
  /** DeepSeekMath (Shao et al. 2024). */
  deepseekmath: { lossType: "grpo", beta: 0.04, numGenerations: 64, useBiasCorrectionKl: false },
  /** DeepSeek-R1 (2025), first RL stage; 16 steps on each rollout. */
  "deepseek-r1": { lossType: "grpo", beta: 1e-3, epsilon: 10, numGenerations: 16, stepsPerGeneration: 16, useBiasCorrectionKl: false },
  /** R1-Zero: the reference becomes the policy every 400 steps. */
  "deepseek-r1-zero": {
    lossType: "grpo",
    beta: 1e-3,
    numGenerations: 16,
    stepsPerGeneration: 16,
    learningRate: 3e-6,
    syncRefModel: true,
    refModelMixupAlpha: 1,
    refModelSyncSteps: 400,
    useBiasCorrectionKl: false,
  },
  /** Zheng et al. 2025; 4 steps on each rollout. */
  gspo: { lossType: "grpo", importanceSamplingLevel: "sequence", epsilon: 3e-4, epsilonHigh: 4e-4, stepsPerGeneration: 4 },
  /** Zhao et al. 2025. */
  gmpo: { lossType: "gmpo", epsilon: 0.4 },
  /** Yu et al. 2025; its soft overlong punishment is a reward. */
  dapo: {
    lossType: "dapo",
    epsilon: 0.2,
    epsilonHigh: 0.28,
    numGenerations: 16,
    maskTruncatedCompletions: true,
    dynamicSampling: true,
  },
  /** Prime Intellect 2025. */
  "intellect-2": { delta: 4, epsilon: 0.2, beta: 1e-3, numGenerations: 16, learningRate: 3e-7, useBiasCorrectionKl: false },
  /** Wang et al. 2025: beyond the 80/20 rule. */
  "80-20": { lossType: "dapo", epsilon: 0.2, epsilonHigh: 0.28, topEntropyQuantile: 0.2 },
  /** Liu et al. 2025. */
  "dr-grpo": { lossType: "dr_grpo", scaleRewards: "none", numGenerations: 8 },
  /** Liu et al. 2025: tricks or traps. */
  "lite-ppo": { lossType: "dapo", scaleRewards: "batch", numGenerations: 8, topP: 0.99, topK: 100, temperature: 0.99 },
  /** Khatri et al. 2025. */
  "scale-rl": { lossType: "cispo", epsilonHigh: 5, scaleRewards: "batch", numGenerations: 16 },
  /** Wu et al. 2025: it takes two. */
  "2-grpo": { lossType: "grpo", numGenerations: 2 },
  /** Gao et al. 2025. */
  sapo: { lossType: "sapo", sapoTemperaturePos: 1, sapoTemperatureNeg: 1.05, scaleRewards: "group" },
  /** DeepSeek-V3.2 (2025). */
  "deepseek-v3.2": { useBiasCorrectionKl: true, beta: 1e-3, offPolicyMaskThreshold: 0.5 },
  /** Liu et al. 2026: each reward is normalised by itself. */
  gdpo: { multiObjectiveAggregation: "normalize_then_sum" },
  luspo: { lossType: "luspo", importanceSamplingLevel: "sequence", epsilon: 2e-3, epsilonHigh: 2.5e-3 },
  vespo: { lossType: "vespo", vespoKPos: 2, vespoLambdaPos: 3, vespoKNeg: 3, vespoLambdaNeg: 2 },
  /** He et al. 2025. */
  "skywork-or1": { useAdaptiveEntropy: true, entropyCoef: 0.01, entropyTarget: 5, entropyCoefDelta: 0.005 },
} as const satisfies Readonly<Record<string, PresetOptions>>;

export type GrpoPreset = keyof typeof grpoPresets;
