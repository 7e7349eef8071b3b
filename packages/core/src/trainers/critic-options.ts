/** Options common to the trainers with a value function (PPO, A2C): the reward per token, credit, the value model. Names are TRL's where it has one. */
import { requireRoom, requireTrainingRoom } from "../checkpoint/room";
import type { KlEstimator } from "../losses/policy/kl";
import type { ScorePlacement } from "../rl/score-slots";
import { checkValueModel, type ValueModelOption } from "./critic";
import type { OptionChecks } from "./options";
import { type ReferenceOptions, type ReferenceSettings, resolveReference } from "./reference-model";
import { type RolloutDefaults, type RolloutOptions, type RolloutPlan, type RolloutSettings, resolveRollout } from "./rollout-options";

export interface CriticOptions extends Omit<RolloutOptions, "numIterations" | "stepsPerGeneration">, ReferenceOptions {
  /** Price of one nat of KL to the reference, paid per token in the reward. PPO 0.05, A2C 0: no reference. */
  readonly klCoef?: number | undefined;
  /** How the KL of a token is estimated. Default "k1". */
  readonly klEstimator?: KlEstimator | undefined;
  /** Report the KL even where `klCoef` is 0. Default false. */
  readonly logKl?: boolean | undefined;
  /** Subtracted from the score of a completion that the length limit cut short. Default: 0. */
  readonly missingEosPenalty?: number | undefined;
  /** Scores are clipped to this range before the penalty. Default: not. */
  readonly rewardClipRange?: readonly [low: number, high: number] | undefined;
  /** Where the score is paid, see {@link ScorePlacement}. Default "last". */
  readonly scorePlacement?: ScorePlacement | undefined;
  /** Divide the rewards by their standard deviation over the rollout. Default false. */
  readonly whitenRewards?: boolean | undefined;
  /** Discount per token. Default 1. */
  readonly gamma?: number | undefined;
  /** λ of generalised advantage estimation. Default 0.95. */
  readonly lam?: number | undefined;
  /** Subtract the mean of the rollout's advantages and divide by their standard deviation. PPO true, A2C false. */
  readonly whitenAdvantages?: boolean | undefined;
  /** PPO "separate", A2C "shared". */
  readonly valueModel?: ValueModelOption | undefined;
  /** Weight of the value loss. PPO 0.1, A2C 0.5. */
  readonly vfCoef?: number | undefined;
  /** Peak learning rate of the value model, or of its head where the trunk is shared. Default: `learningRate`. */
  readonly valueLearningRate?: number | undefined;
  /** Coefficient of the entropy bonus. Default 0. */
  readonly entropyCoef?: number | undefined;
}

/** Options with defaults filled in. */
export interface CriticPlan extends RolloutPlan {
  readonly klCoef: number;
  readonly klEstimator: KlEstimator;
  readonly reference: ReferenceSettings;
  readonly missingEosPenalty: number;
  readonly rewardClipRange: readonly [number, number] | undefined;
  readonly scorePlacement: ScorePlacement;
  readonly whitenRewards: boolean;
  readonly gamma: number;
  readonly lam: number;
  readonly whitenAdvantages: boolean;
  readonly valueModel: ValueModelOption;
  readonly vfCoef: number;
  readonly valueLearningRate: number;
  readonly entropyCoef: number;
}

export type CriticSettings = CriticPlan & RolloutSettings;

export interface CriticDefaults extends Pick<RolloutDefaults, "learningRate"> {
  readonly klCoef: number;
  readonly vfCoef: number;
  readonly whitenAdvantages: boolean;
  readonly valueModel: ValueModelOption;
}

/** Fills in defaults and notes what is wrong in `checks`. `rounds` says how many optimiser steps a generation batch gets. */
export function resolveCritic(
  options: CriticOptions,
  rounds: Pick<RolloutOptions, "numIterations" | "stepsPerGeneration">,
  defaults: CriticDefaults,
  checks: OptionChecks,
): CriticPlan {
  const { decoder } = options.model;
  const plan = resolveRollout(
    { ...options, ...rounds },
    { learningRate: defaults.learningRate, numGenerations: 1, leastGenerations: 1 },
    checks,
  );
  const { valueModel = defaults.valueModel, rewardClipRange: range } = options;
  checkValueModel(valueModel, decoder, checks);
  checks.check("rewardClipRange", range, range === undefined || range[0] < range[1], "two rising numbers");
  const klCoef = checks.number("klCoef", options.klCoef ?? defaults.klCoef, 0);
  return {
    ...plan,
    klCoef,
    klEstimator: checks.choice("klEstimator", options.klEstimator ?? "k1", ["k1", "k2", "k3", "abs"]),
    reference: resolveReference(options, decoder, klCoef > 0 || options.logKl === true, checks),
    missingEosPenalty: checks.number("missingEosPenalty", options.missingEosPenalty ?? 0, 0),
    rewardClipRange: range,
    scorePlacement: checks.choice("scorePlacement", options.scorePlacement ?? "last", ["last", "trl"]),
    whitenRewards: options.whitenRewards ?? false,
    gamma: checks.number("gamma", options.gamma ?? 1, 0, 1),
    lam: checks.number("lam", options.lam ?? 0.95, 0, 1),
    whitenAdvantages: options.whitenAdvantages ?? defaults.whitenAdvantages,
    valueModel,
    vfCoef: checks.number("vfCoef", options.vfCoef ?? defaults.vfCoef, 0),
    valueLearningRate: checks.number("valueLearningRate", options.valueLearningRate ?? plan.learningRate, 0),
    entropyCoef: checks.number("entropyCoef", options.entropyCoef ?? 0, Number.NEGATIVE_INFINITY),
  };
}

/**
 * Throws OutOfMemoryError unless the device has room for gradients and moments of the policy, the reference and the value model; ConfigError where
 * weights to be trained whole are in low precision.
 */
export function requireCriticRoom({ reference, valueModel }: CriticPlan, decoder: CriticOptions["model"]["decoder"]): void {
  const { device, config, adapter } = decoder;
  const own = 3 + (reference.isCopied ? 1 : 0);
  const others = valueModel === "separate" ? 4 : 0;
  if (valueModel === "separate") decoder.parameters.requireTrainable();
  else if (valueModel !== "shared") valueModel.decoder.parameters.requireTrainable();
  if (adapter) {
    requireTrainingRoom(decoder, own);
    requireRoom(device, config, others);
  } else requireTrainingRoom(decoder, own + others);
  if (typeof valueModel !== "string") requireRoom(device, valueModel.decoder.config, 4);
}
