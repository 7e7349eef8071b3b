/** Options common to the trainers that sample completions and have them rewarded, under TRL's names. */
import type { DatasetRow } from "../data/jsonl";
import { type EncodedPrompt, requireVocabulary, tokenizePrompts } from "../data/tokenize";
import { generate } from "../generate/generate";
import { type RewardFunction, rewardName } from "../rl/rewards";
import type { RolloutFunction } from "../rl/rollout-function";
import { type OptionChecks, resolveTraining, type TrainingOptions, type TrainingSettings } from "./options";
import type { TrainingModel } from "./training-model";

export interface RolloutOptions extends TrainingOptions {
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
  /** Completions per prompt. Default: the algorithm's. */
  readonly numGenerations?: number | undefined;
  /**
   * Micro-batches' worth of rows per generation batch: it holds perDeviceTrainBatchSize × stepsPerGeneration completions.
   * A multiple of gradientAccumulationSteps, which is the default: one optimiser step per generation batch.
   */
  readonly stepsPerGeneration?: number | undefined;
  /** Passes over each generation batch (μ). Default: the algorithm's. */
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
   * `generate`. Give another to learn from recorded completions, or `environmentRollout` to learn in an environment.
   */
  readonly rolloutFunction?: RolloutFunction | undefined;
  /** Strings that end a completion. */
  readonly stop?: readonly string[] | undefined;
  /** Leave completions that hit the length limit out of the loss. Default false. */
  readonly maskTruncatedCompletions?: boolean | undefined;
}

/** Options with defaults filled in, and the prompts' tokens. */
export interface RolloutSettings extends TrainingSettings {
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
  readonly maskTruncatedCompletions: boolean;
}

export interface RolloutDefaults {
  readonly learningRate: number;
  readonly numGenerations: number;
  /** Fewest completions per prompt that the algorithm can compare. */
  readonly leastGenerations: number;
  /** Fewest reward functions; default 1. */
  readonly leastRewards?: number;
  readonly numIterations?: number;
}

/** What {@link resolveRollout} finds before the prompts are read. */
export type RolloutPlan = Omit<RolloutSettings, "prompts" | "totalSteps">;

/** Fills in defaults and notes what is wrong in `checks`. Once the checks have passed, {@link withPrompts} reads the prompts. */
export function resolveRollout(options: RolloutOptions, defaults: RolloutDefaults, checks: OptionChecks): RolloutPlan {
  const { maxPositions } = options.model.decoder.config;
  const training = resolveTraining(options, defaults, checks);
  const rewards = typeof options.rewards === "function" ? [options.rewards] : options.rewards;
  const names = rewards.map(rewardName);
  checks.check("rewards", names.length, names.length >= (defaults.leastRewards ?? 1), "at least one function");
  checks.check("rewards", names, new Set(names).size === names.length, "functions with different names");
  const { rewardWeights } = options;
  const weightsFit = rewardWeights === undefined || (rewardWeights.length === rewards.length && rewardWeights.every(Number.isFinite));
  checks.check("rewardWeights", rewardWeights, weightsFit, `one finite number for each of the ${rewards.length} reward functions`);
  const { rewardTimeoutMs = 60_000 } = options;
  checks.check("rewardTimeoutMs", rewardTimeoutMs, rewardTimeoutMs > 0, "above 0");

  const { gradientAccumulationSteps: accumulation, microBatchRows } = training;
  const numGenerations = checks.count("numGenerations", options.numGenerations ?? defaults.numGenerations, defaults.leastGenerations);
  const stepsPerGeneration = checks.count("stepsPerGeneration", options.stepsPerGeneration ?? accumulation);
  const isMultiple = stepsPerGeneration % accumulation === 0;
  checks.check("stepsPerGeneration", stepsPerGeneration, isMultiple, `a multiple of gradientAccumulationSteps (${accumulation})`);
  const generationBatch = microBatchRows * stepsPerGeneration;
  checks.check(
    "perDeviceTrainBatchSize × stepsPerGeneration",
    generationBatch,
    generationBatch % numGenerations === 0,
    `a multiple of numGenerations (${numGenerations}), so that groups are whole`,
  );
  const numIterations = checks.count("numIterations", options.numIterations ?? defaults.numIterations ?? 1);
  const maxCompletionLength = checks.count(
    "maxCompletionLength",
    options.maxCompletionLength ?? Math.min(512, Math.floor(maxPositions / 2)),
  );
  const hasRoom = maxCompletionLength < maxPositions;
  checks.check("maxCompletionLength", maxCompletionLength, hasRoom, `below the model's context of ${maxPositions} tokens`);
  return {
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
      topP: checks.number("topP", options.topP ?? 1, 0, 1, true),
      minP: checks.number("minP", options.minP ?? 0, 0, 1),
      repetitionPenalty: checks.number("repetitionPenalty", options.repetitionPenalty ?? 1, 0, undefined, true),
    },
    stop: options.stop ?? [],
    maskTruncatedCompletions: options.maskTruncatedCompletions ?? false,
  };
}

/** Encodes the prompts and counts the steps. Throws DataError for the first bad prompt. */
export function withPrompts<Plan extends RolloutPlan>(plan: Plan, options: RolloutOptions): Plan & RolloutSettings {
  const { decoder, tokenizer } = options.model;
  const { maxPositions, vocabSize } = decoder.config;
  const prompts = tokenizePrompts(options.prompts, tokenizer, maxPositions - plan.maxCompletionLength);
  requireVocabulary(prompts, vocabSize);
  const rollouts = (prompts.length * plan.numTrainEpochs) / plan.promptsPerGeneration;
  return { ...plan, prompts, totalSteps: plan.maxSteps ?? Math.ceil(rollouts) * plan.stepsPerRollout };
}
