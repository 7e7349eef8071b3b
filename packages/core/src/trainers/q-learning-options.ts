/** Options of ILQL, their defaults (trlX's) and their check. */
import { requireTrainingRoom } from "../checkpoint/room";
import type { DatasetRow } from "../data/jsonl";
import { tokenizeRewarded } from "../data/rewarded";
import { requireVocabulary } from "../data/tokenize";
import type { QLearningOptions } from "../losses/q-learning";
import type { TokenValues } from "../models/token-values";
import { type Episode, terminalEpisode } from "../rl/episode";
import { OptionChecks, resolveTraining, type TrainingOptions, type TrainingSettings } from "./options";
import { type RolloutOptions, type RolloutSettings, resolveRollout, withPrompts } from "./rollout-options";
import type { TrainingModel } from "./training-model";

/** Completions of the guided policy itself, sampled and rewarded while it learns. */
export interface IlqlRollouts
  extends Pick<
    RolloutOptions,
    | "prompts"
    | "rewards"
    | "rewardWeights"
    | "onRewardError"
    | "rewardTimeoutMs"
    | "numGenerations"
    | "maxCompletionLength"
    | "temperature"
    | "topK"
    | "topP"
    | "minP"
    | "repetitionPenalty"
    | "rolloutFunction"
    | "stop"
  > {
  /** Optimiser steps from one round to the next; the first round comes before the first step. Default 100. */
  readonly every?: number | undefined;
  /** Completions per round, a multiple of `numGenerations` (default 1). Default 64. */
  readonly completions?: number | undefined;
  /** How strongly values guide them. Default 1. */
  readonly beta?: number | undefined;
}

export interface IlqlOptions extends TrainingOptions {
  /** The policy: trained in place, unless `awacScale` is 0. */
  readonly model: TrainingModel;
  /** Trained in place; made by `newTokenValues`. */
  readonly values: TokenValues;
  /** Rows with `prompt`, `completion` and `reward`. */
  readonly dataset?: readonly DatasetRow[] | undefined;
  /** Default: none, learning offline. */
  readonly rollouts?: IlqlRollouts | undefined;
  /** Episodes that the replay buffer holds; the oldest make room. Default: the dataset, and 10,000 more where there are rollouts. */
  readonly bufferCapacity?: number | undefined;
  /** Longest row of the dataset in tokens; a longer one is refused. Default: the model's context. */
  readonly maxLength?: number | undefined;
  /** Expectile of the V head: 0.5 values the data's average action, towards 1 its best. Default 0.7. */
  readonly tau?: number | undefined;
  /** Discount per token. Default 0.99. */
  readonly gamma?: number | undefined;
  /** Weight of the CQL term, which holds down the values of tokens that the data does not have. Default 0.1. */
  readonly cqlScale?: number | undefined;
  /** Weight of the policy's likelihood of the data. 0 leaves the policy alone: heads on its trunk then read it as it is. Default 1. */
  readonly awacScale?: number | undefined;
  /** Weighs each token's likelihood by exp(awacBeta · advantage). Default 0: plain likelihood. */
  readonly awacBeta?: number | undefined;
  /** α of target := α Q + (1 - α) target. Default 0.001. */
  readonly alpha?: number | undefined;
  /** Optimiser steps between two such moves. Default 5. */
  readonly targetSyncSteps?: number | undefined;
  /** Peak learning rate of the heads, and of their trunk where it is their own. Default: `learningRate` (default 5e-5). */
  readonly valueLearningRate?: number | undefined;
}

/** A round of rollouts, resolved. */
export interface RolloutRounds {
  readonly settings: RolloutSettings;
  readonly every: number;
  readonly beta: number;
}

/** Options with defaults filled in, and the dataset's episodes. */
export interface IlqlSettings extends TrainingSettings {
  readonly loss: QLearningOptions;
  readonly episodes: readonly Episode[];
  readonly rollouts: RolloutRounds | undefined;
  readonly bufferCapacity: number;
  readonly alpha: number;
  readonly targetSyncSteps: number;
  readonly valueLearningRate: number;
  readonly totalSteps: number;
}

/** Throws ConfigError listing every bad option, then DataError for the first bad row or prompt. */
export function resolveIlql(options: IlqlOptions): IlqlSettings {
  const { model, values, dataset = [] } = options;
  const { decoder, tokenizer } = model;
  const { vocabSize, hiddenSize, maxPositions } = decoder.config;
  const checks = new OptionChecks();
  const training = resolveTraining(options, { learningRate: 5e-5 }, checks);
  const { shape } = values;
  const fits =
    values.q.device === decoder.device &&
    shape.vocabSize === vocabSize &&
    (values.decoder !== undefined || shape.hiddenSize === hiddenSize);
  checks.check("values", `${shape.vocabSize} tokens, ${shape.hiddenSize} channels`, fits, "made for this model by newTokenValues");
  checks.check("dataset", dataset.length, dataset.length > 0 || options.rollouts !== undefined, "given, or `rollouts`, or both");
  const needsSteps = dataset.length === 0 && training.maxSteps === undefined;
  checks.check("maxSteps", options.maxSteps, !needsSteps, "given where there is no dataset");
  const maxLength = checks.count("maxLength", options.maxLength ?? maxPositions, 2);
  checks.check("maxLength", maxLength, maxLength <= maxPositions, `at most the model's context of ${maxPositions} tokens`);
  const rollouts = options.rollouts && planRollouts(options.rollouts, options, checks);
  const settings = {
    ...training,
    loss: {
      tau: checks.number("tau", options.tau ?? 0.7, 0, 1),
      gamma: checks.number("gamma", options.gamma ?? 0.99, 0, 1),
      cqlScale: checks.number("cqlScale", options.cqlScale ?? 0.1, 0),
      awacScale: checks.number("awacScale", options.awacScale ?? 1, 0),
      awacBeta: checks.number("awacBeta", options.awacBeta ?? 0, 0),
    },
    bufferCapacity: checks.count("bufferCapacity", options.bufferCapacity ?? Math.max(1, dataset.length + (rollouts ? 10_000 : 0))),
    alpha: checks.number("alpha", options.alpha ?? 0.001, 0, 1, true),
    targetSyncSteps: checks.count("targetSyncSteps", options.targetSyncSteps ?? 5),
    valueLearningRate: checks.number("valueLearningRate", options.valueLearningRate ?? training.learningRate, 0),
  };
  checks.throwIfAny("ilql");
  requireTrainingRoom(decoder, (settings.loss.awacScale > 0 ? 3 : 0) + (values.decoder ? 3 : 0));
  const examples = dataset.length > 0 ? tokenizeRewarded(dataset, { tokenizer, maxLength }) : [];
  requireVocabulary(
    examples.map(({ sequence }) => sequence),
    vocabSize,
  );
  return {
    ...settings,
    episodes: examples.map(({ sequence: { tokens, mask }, reward }) => terminalEpisode(tokens, mask, reward)),
    rollouts: rollouts?.(),
    totalSteps: training.maxSteps ?? Math.ceil((dataset.length * training.numTrainEpochs) / training.rowsPerStep),
  };
}

/** Notes what is wrong in `checks`; what it returns reads the prompts. */
function planRollouts(rollouts: IlqlRollouts, { model, seed, signal }: IlqlOptions, checks: OptionChecks): () => RolloutRounds {
  const { every: steps = 100, completions = 64, beta: strength = 1, ...sampling } = rollouts;
  const options: RolloutOptions = { ...sampling, model, seed, signal, maxSteps: 1, perDeviceTrainBatchSize: completions };
  const plan = resolveRollout(options, { learningRate: 0, numGenerations: 1, leastGenerations: 1 }, checks);
  const every = checks.count("rollouts.every", steps);
  const beta = checks.number("rollouts.beta", strength, 0);
  return () => ({ settings: withPrompts(plan, options), every, beta });
}
