/** Options of GRPO under TRL's names, their defaults and their check. */

import { requireRoom } from "../checkpoint/room";
import type { TrainingState } from "../checkpoint/state";
import type { DatasetRow } from "../data/jsonl";
import { type EncodedPrompt, requireVocabulary, tokenizePrompts } from "../data/tokenize";
import { generate } from "../generate/generate";
import type { Completion, GenerateOptions } from "../generate/options";
import type { PolicyLossOptions } from "../losses/policy-loss";
import type { LossType } from "../losses/token-weights";
import type { Decoder } from "../models/decoder";
import { type RewardFunction, rewardName } from "../rl/rewards";
import { OptionChecks, resolveTraining, type TrainingOptions, type TrainingSettings } from "./options";
import type { TrainingModel } from "./training-model";

export interface GrpoOptions extends TrainingOptions {
  /** Generates and is trained in place. */
  readonly model: TrainingModel;
  /** Rows with a `prompt`; their other columns go to the reward functions. */
  readonly prompts: readonly DatasetRow[];
  /** One function or several; their weighted sum is the reward. */
  readonly rewards: RewardFunction | readonly RewardFunction[];
  /** One per function. Default 1 each. */
  readonly rewardWeights?: readonly number[] | undefined;
  /** "skip" counts a failing reward as null, "throw" ends the run. Default "throw". */
  readonly onRewardError?: "throw" | "skip" | undefined;
  /** Longest that one call of an async reward may take. Default 60000; Infinity for no bound. */
  readonly rewardTimeoutMs?: number | undefined;
  /** Completions per prompt, at least 2. Default 8. */
  readonly numGenerations?: number | undefined;
  /**
   * Micro-batches' worth of rows per generation batch: it holds perDeviceTrainBatchSize × stepsPerGeneration completions.
   * A multiple of gradientAccumulationSteps, which is the default: one optimiser step per generation batch.
   */
  readonly stepsPerGeneration?: number | undefined;
  /** Passes over each generation batch (μ). Default 1. */
  readonly numIterations?: number | undefined;
  /** Default 512, or half of the model's context where that is shorter. */
  readonly maxCompletionLength?: number | undefined;
  /** Divides the logits, in sampling and in the loss. Default 1. */
  readonly temperature?: number | undefined;
  /** Sampling only: the loss does not renormalise. Defaults 0, 1, 0, 1: all off. */
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly minP?: number | undefined;
  readonly repetitionPenalty?: number | undefined;
  /**
   * Samples the completions of a generation batch (TRL's rollout_func): all of the first prompt's, then the second's, ... Default:
   * `generate`. Give another to learn from recorded completions or from an environment.
   */
  readonly rolloutFunction?: RolloutFunction | undefined;
  /** Strings that end a completion. */
  readonly stop?: readonly string[] | undefined;
  /** Coefficient of the KL to the reference in the loss (k3). Default 0. */
  readonly beta?: number | undefined;
  /** Report `kl` even where beta is 0. Default false. */
  readonly logKl?: boolean | undefined;
  /** The reference model; "initial" is a copy of `model` as it is handed over. Default "initial"; made only where it is needed. */
  readonly reference?: "initial" | { readonly decoder: Decoder } | undefined;
  /** Clip range of the ratio, below and, unless `epsilonHigh` is given, above. Default 0.2. */
  readonly epsilon?: number | undefined;
  readonly epsilonHigh?: number | undefined;
  /** Two-sided clip: cap of the unclipped ratio. Default: none. */
  readonly delta?: number | undefined;
  /** How token losses are averaged; see losses/token-weights.ts. Default "dapo". */
  readonly lossType?: LossType | undefined;
  /** One ratio per token, or per completion (GSPO). Default "token". */
  readonly importanceSamplingLevel?: "token" | "sequence" | undefined;
  /** Which standard deviation divides the advantages. Default "group". */
  readonly scaleRewards?: "group" | "batch" | "none" | undefined;
  /** Coefficient of the entropy bonus. Default 0. */
  readonly entropyCoef?: number | undefined;
  /** Leave completions that hit the length limit out of the loss. Default false. */
  readonly maskTruncatedCompletions?: boolean | undefined;
  /** Continue a run: `model` (whose weights make the initial reference), `prompts` and options must be those it was started with. */
  readonly resume?: TrainingState | undefined;
}

/** Completes `prompts` `n` times each, as {@link GenerateOptions} say. */
export type RolloutFunction = (request: GenerateOptions) => Promise<readonly Completion[]>;

/** Options with defaults filled in, and the prompts' tokens. */
export interface GrpoSettings extends TrainingSettings {
  readonly prompts: readonly EncodedPrompt[];
  readonly rewards: readonly RewardFunction[];
  readonly rewardWeights: readonly number[] | undefined;
  readonly onRewardError: "throw" | "skip";
  readonly rewardTimeoutMs: number | undefined;
  readonly numGenerations: number;
  readonly promptsPerGeneration: number;
  /** Optimiser steps in one pass over a generation batch. */
  readonly stepsPerPass: number;
  /** Optimiser steps on each generation batch, all passes. */
  readonly stepsPerRollout: number;
  readonly totalSteps: number;
  readonly maxCompletionLength: number;
  readonly temperature: number;
  readonly rolloutFunction: RolloutFunction;
  readonly sampling: { readonly topK: number; readonly topP: number; readonly minP: number; readonly repetitionPenalty: number };
  readonly stop: readonly string[];
  readonly needsReference: boolean;
  readonly loss: PolicyLossOptions;
  readonly lossType: LossType;
  readonly level: "token" | "sequence";
  readonly scaleRewards: "group" | "batch" | "none";
  readonly entropyCoef: number;
  readonly maskTruncatedCompletions: boolean;
}

/** Throws ConfigError listing every bad option, then DataError for the first bad prompt. */
export function resolveGrpo(options: GrpoOptions): GrpoSettings {
  const { decoder, tokenizer } = options.model;
  const { maxPositions, vocabSize } = decoder.config;
  const checks = new OptionChecks();
  const training = resolveTraining(options, { learningRate: 1e-6 }, checks);
  const rewards = typeof options.rewards === "function" ? [options.rewards] : options.rewards;
  const names = rewards.map(rewardName);
  checks.check("rewards", names.length, names.length > 0, "at least one function");
  checks.check("rewards", names, new Set(names).size === names.length, "functions with different names");
  const { rewardWeights } = options;
  const weightsFit = rewardWeights === undefined || (rewardWeights.length === rewards.length && rewardWeights.every(Number.isFinite));
  checks.check("rewardWeights", rewardWeights, weightsFit, `one finite number for each of the ${rewards.length} reward functions`);
  const { rewardTimeoutMs = 60_000 } = options;
  checks.check("rewardTimeoutMs", rewardTimeoutMs, rewardTimeoutMs > 0, "above 0");

  const { gradientAccumulationSteps: accumulation, microBatchRows } = training;
  const numGenerations = checks.count("numGenerations", options.numGenerations ?? 8, 2);
  const stepsPerGeneration = checks.count("stepsPerGeneration", options.stepsPerGeneration ?? accumulation);
  checks.check(
    "stepsPerGeneration",
    stepsPerGeneration,
    stepsPerGeneration % accumulation === 0,
    `a multiple of gradientAccumulationSteps (${accumulation})`,
  );
  const generationBatch = microBatchRows * stepsPerGeneration;
  checks.check(
    "perDeviceTrainBatchSize × stepsPerGeneration",
    generationBatch,
    generationBatch % numGenerations === 0,
    `a multiple of numGenerations (${numGenerations}), so that groups are whole`,
  );
  const numIterations = checks.count("numIterations", options.numIterations ?? 1);
  const maxCompletionLength = checks.count(
    "maxCompletionLength",
    options.maxCompletionLength ?? Math.min(512, Math.floor(maxPositions / 2)),
  );
  checks.check(
    "maxCompletionLength",
    maxCompletionLength,
    maxCompletionLength < maxPositions,
    `below the model's context of ${maxPositions} tokens`,
  );
  const topP = checks.number("topP", options.topP ?? 1, 0, 1, true);
  const minP = checks.number("minP", options.minP ?? 0, 0, 1);
  const epsilonLow = checks.number("epsilon", options.epsilon ?? 0.2, 0, undefined, true);
  const epsilonHigh = checks.number("epsilonHigh", options.epsilonHigh ?? epsilonLow, 0, undefined, true);
  const beta = checks.number("beta", options.beta ?? 0, 0);
  const { reference = "initial" } = options;
  if (reference !== "initial") {
    const other = reference.decoder.config.vocabSize;
    checks.check("reference", other, other === vocabSize, `a model with the same vocabulary size ${vocabSize}`);
    checks.check("reference", "another device", reference.decoder.device === decoder.device, "a model on the same device");
  }
  const settings = {
    ...training,
    rewards,
    rewardWeights,
    onRewardError: checks.choice("onRewardError", options.onRewardError ?? "throw", ["throw", "skip"]),
    rewardTimeoutMs: Number.isFinite(rewardTimeoutMs) ? rewardTimeoutMs : undefined,
    numGenerations,
    promptsPerGeneration: generationBatch / numGenerations,
    stepsPerPass: stepsPerGeneration / accumulation,
    stepsPerRollout: (stepsPerGeneration / accumulation) * numIterations,
    maxCompletionLength,
    temperature: checks.number("temperature", options.temperature ?? 1, 0, undefined, true),
    rolloutFunction: options.rolloutFunction ?? generate,
    sampling: {
      topK: checks.count("topK", options.topK ?? 0, 0),
      topP,
      minP,
      repetitionPenalty: checks.number("repetitionPenalty", options.repetitionPenalty ?? 1, 0, undefined, true),
    },
    stop: options.stop ?? [],
    needsReference: beta > 0 || options.logKl === true,
    loss: {
      epsilonLow,
      epsilonHigh,
      delta: options.delta === undefined ? 0 : checks.number("delta", options.delta, 0, undefined, true),
      beta,
    },
    lossType: checks.choice("lossType", options.lossType ?? "dapo", ["grpo", "bnpo", "dr_grpo", "dapo"]),
    level: checks.choice("importanceSamplingLevel", options.importanceSamplingLevel ?? "token", ["token", "sequence"]),
    scaleRewards: checks.choice("scaleRewards", options.scaleRewards ?? "group", ["group", "batch", "none"]),
    entropyCoef: checks.number("entropyCoef", options.entropyCoef ?? 0, Number.NEGATIVE_INFINITY),
    maskTruncatedCompletions: options.maskTruncatedCompletions ?? false,
  };
  checks.throwIfAny("grpo");

  requireRoom(decoder.device, decoder.config, settings.needsReference && reference === "initial" ? 4 : 3);
  const prompts = tokenizePrompts(options.prompts, tokenizer, maxPositions - maxCompletionLength);
  requireVocabulary(prompts, vocabSize);
  const rollouts = (prompts.length * settings.numTrainEpochs) / settings.promptsPerGeneration;
  return { ...settings, prompts, totalSteps: settings.maxSteps ?? Math.ceil(rollouts) * settings.stepsPerRollout };
}
