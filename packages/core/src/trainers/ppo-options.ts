/** Options of PPO under TRL's names, their defaults and their check. */
import type { KlControl } from "../rl/kl-controllers";
import { type CriticOptions, type CriticPlan, requireCriticRoom, resolveCritic } from "./critic-options";
import { OptionChecks } from "./options";
import { type PretrainingOptions, type PretrainingSettings, resolvePretraining } from "./pretraining-mix";
import { type RolloutSettings, withPrompts } from "./rollout-options";

export interface PpoOptions extends CriticOptions, PretrainingOptions {
  /** Passes over each generation batch. Default 4. */
  readonly numPpoEpochs?: number | undefined;
  /**
   * Optimiser steps per pass: a generation batch holds perDeviceTrainBatchSize × gradientAccumulationSteps × numMiniBatches completions. Default 1.
   */
  readonly numMiniBatches?: number | undefined;
  /** Wanted KL to the reference, in nats per completion: `klCoef` is then only where the adaptive controller starts. Default: `klCoef` is fixed. */
  readonly klTarget?: number | undefined;
  /** Completions over which the controller may change the coefficient by a fifth. Default 10000. */
  readonly klHorizon?: number | undefined;
  /** What keeps an update near the policy it began with: the clipped ratio, or a KL penalty with an adaptive coefficient. Default "clip". */
  readonly penalty?: "clip" | "kl" | undefined;
  /** Clip range of the ratio. Default 0.2. */
  readonly cliprange?: number | undefined;
  /** β that the KL penalty starts with; it is halved and doubled after each round. Default 1. */
  readonly penaltyBeta?: number | undefined;
  /** Wanted mean KL, per token, of the policy before to that after a round. Default 0.01. */
  readonly penaltyTarget?: number | undefined;
  /** Clip range of the values around the recorded ones; 0 does not clip. Default 0.2. */
  readonly cliprangeValue?: number | undefined;
  /** End a round once `policy/approxkl_avg` exceeds 1.5 times this. Default: never. */
  readonly earlyStopKl?: number | undefined;
}

/** Options with defaults filled in, and the prompts' tokens. */
export interface PpoSettings extends CriticPlan, RolloutSettings {
  readonly klControl: KlControl;
  readonly penalty: "clip" | "kl";
  readonly cliprange: number;
  readonly penaltyBeta: number;
  readonly penaltyTarget: number;
  readonly cliprangeValue: number;
  readonly earlyStopKl: number | undefined;
  readonly pretraining: PretrainingSettings | undefined;
}

/** Throws ConfigError listing every bad option, then DataError for the first bad prompt. */
export function resolvePpo(options: PpoOptions): PpoSettings {
  const { decoder } = options.model;
  const checks = new OptionChecks();
  /** A bad count is named once, under its own name. */
  const count = (name: "numPpoEpochs" | "numMiniBatches", value: number) =>
    Number.isSafeInteger(checks.count(name, value)) && value >= 1 ? value : 1;
  const plan = resolveCritic(
    {
      ...options,
      temperature: options.temperature ?? 0.7,
      maxCompletionLength: options.maxCompletionLength ?? Math.min(53, Math.floor(decoder.config.maxPositions / 2)),
    },
    {
      numIterations: count("numPpoEpochs", options.numPpoEpochs ?? 4),
      stepsPerGeneration: count("numMiniBatches", options.numMiniBatches ?? 1) * (options.gradientAccumulationSteps ?? 1),
    },
    { learningRate: 3e-6, klCoef: 0.05, vfCoef: 0.1, whitenAdvantages: true, valueModel: "separate" },
    checks,
  );
  const { klTarget, earlyStopKl } = options;
  const horizon = checks.count("klHorizon", options.klHorizon ?? 10_000);
  if (klTarget !== undefined) {
    checks.number("klTarget", klTarget, 0, undefined, true);
    checks.check("klCoef", plan.klCoef, plan.klCoef !== 0, "above 0 where there is a klTarget, as the controller multiplies it");
  }
  if (earlyStopKl !== undefined) checks.number("earlyStopKl", earlyStopKl, 0, undefined, true);
  const settings = {
    ...plan,
    klControl: klTarget === undefined ? ({ kind: "fixed" } as const) : ({ kind: "adaptive", target: klTarget, horizon } as const),
    penalty: checks.choice("penalty", options.penalty ?? "clip", ["clip", "kl"]),
    cliprange: checks.number("cliprange", options.cliprange ?? 0.2, 0, undefined, true),
    penaltyBeta: checks.number("penaltyBeta", options.penaltyBeta ?? 1, 0, undefined, true),
    penaltyTarget: checks.number("penaltyTarget", options.penaltyTarget ?? 0.01, 0, undefined, true),
    cliprangeValue: checks.number("cliprangeValue", options.cliprangeValue ?? 0.2, 0),
    earlyStopKl,
    pretraining: resolvePretraining(options, plan, checks),
  };
  checks.throwIfAny("ppo");
  requireCriticRoom(settings, decoder);
  return withPrompts(settings, options);
}
