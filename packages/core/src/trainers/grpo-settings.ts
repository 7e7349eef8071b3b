/** Options of GRPO with their defaults filled in and checked. */
import type { RewardScale } from "@trimtab/kernels";
import { requireTrainingRoom } from "../checkpoint/room";
import { policyObjective, policySurrogates, TOKEN_LEVEL_ONLY } from "../losses/policy/objectives";
import { entropyWeight, type LossType, tokenWeights } from "../losses/token-weights";
import type { EntropyControlOptions } from "../rl/kl-controllers";
import { clipMeasures } from "../rl/policy-metrics";
import type { GrpoRecipe } from "./grpo-options";
import { OptionChecks } from "./options";
import type { PolicyPlan } from "./policy-update";
import { type GrpoPreset, grpoPresets } from "./presets";
import { type ReferenceSettings, resolveReference } from "./reference-model";
import { type RolloutOptions, type RolloutSettings, resolveRollout, withPrompts } from "./rollout-options";

export interface GrpoOptions extends RolloutOptions, GrpoRecipe {
  /** The options of a published recipe (presets.ts); options given beside it win. */
  readonly preset?: GrpoPreset | undefined;
  /** Completions per prompt, at least 2. Default 8. */
  readonly numGenerations?: number | undefined;
}

/** Options with defaults filled in, and the prompts' tokens. */
export interface GrpoSettings extends RolloutSettings {
  readonly plan: PolicyPlan;
  readonly reference: ReferenceSettings;
  /** log π_old is recorded before the first step on a round. */
  readonly needsOldLogps: boolean;
  readonly scaleRewards: RewardScale;
  readonly multiObjectiveAggregation: "sum_then_normalize" | "normalize_then_sum";
  readonly supervision: "outcome" | "process";
  readonly maxResamplingAttempts: number;
  readonly entropyCoef: number;
  /** undefined: the coefficient stays. */
  readonly adaptiveEntropy: EntropyControlOptions | undefined;
}

/** Throws ConfigError listing every bad option, then DataError for the first bad prompt. */
export function resolveGrpo(given: GrpoOptions): GrpoSettings {
  const checks = new OptionChecks();
  const options = withPreset(given, checks);
  const { decoder } = options.model;
  const rollout = resolveRollout(options, { learningRate: 1e-6, numGenerations: 8, leastGenerations: 2 }, checks);
  const plan = resolvePlan(options, checks);
  const { scaleRewards = "group", multiObjectiveAggregation = "sum_then_normalize", supervision = "outcome" } = options;
  checks.check(
    "multiObjectiveAggregation",
    multiObjectiveAggregation,
    !(multiObjectiveAggregation === "normalize_then_sum" && supervision === "process"),
    "sum_then_normalize with process supervision",
  );
  const beta = checks.number("beta", options.beta ?? 0, 0);
  const { useAdaptiveEntropy = false, dynamicSampling = false } = options;
  const settings = {
    ...rollout,
    plan,
    reference: resolveReference(options, decoder, beta > 0 || options.logKl === true, checks),
    needsOldLogps: rollout.stepsPerRollout > 1 || plan.samplerCorrection !== undefined,
    scaleRewards: checks.choice("scaleRewards", scaleRewards, ["group", "batch", "none"]),
    multiObjectiveAggregation: checks.choice("multiObjectiveAggregation", multiObjectiveAggregation, [
      "sum_then_normalize",
      "normalize_then_sum",
    ]),
    supervision: checks.choice("supervision", supervision, ["outcome", "process"]),
    maxResamplingAttempts: dynamicSampling ? checks.count("maxResamplingAttempts", options.maxResamplingAttempts ?? 10) : 0,
    entropyCoef: checks.number("entropyCoef", options.entropyCoef ?? 0, Number.NEGATIVE_INFINITY),
    adaptiveEntropy: useAdaptiveEntropy ? resolveAdaptiveEntropy(options, checks) : undefined,
  };
  checks.throwIfAny("grpo");
  requireTrainingRoom(decoder, settings.reference.isCopied ? 4 : 3);
  return withPrompts(settings, options);
}

function resolvePlan(options: GrpoOptions, checks: OptionChecks): PolicyPlan {
  const lossTypes = Object.keys(policySurrogates) as LossType[];
  const named = checks.choice("lossType", options.lossType ?? "dapo", lossTypes);
  // A name that is none has been noted; the rest is checked all the same.
  const lossType = lossTypes.includes(named) ? named : "dapo";
  const measure = clipMeasures[lossType];
  const level = checks.choice("importanceSamplingLevel", options.importanceSamplingLevel ?? "token", [
    "token",
    "sequence",
    "sequence_token",
  ]);
  if (TOKEN_LEVEL_ONLY.has(lossType)) checks.check("importanceSamplingLevel", level, level === "token", `token with lossType ${lossType}`);
  const epsilonLow = checks.number("epsilon", options.epsilon ?? (lossType === "gmpo" ? 0.4 : 0.2), 0, undefined, true);
  const epsilonHigh = checks.number("epsilonHigh", options.epsilonHigh ?? (lossType === "cispo" ? 5 : epsilonLow), 0, undefined, true);
  const onlyClipped = (name: "delta" | "dualClip", least: number) => {
    const value = options[name];
    if (value === undefined) return 0;
    checks.check(name, value, measure === "ratio", `left out with lossType ${lossType}`);
    return checks.number(name, value, least, undefined, true);
  };
  const clip = { epsilonLow, epsilonHigh, delta: onlyClipped("delta", 0), dualClip: onlyClipped("dualClip", 1) };
  const positive = (name: keyof GrpoOptions, fallback: number) =>
    checks.number(name, (options[name] as number | undefined) ?? fallback, 0, undefined, true);
  const mode = options.samplingImportanceMode ?? "sequence_mask";
  checks.choice("samplingImportanceMode", mode, ["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]);
  const threshold = options.offPolicyMaskThreshold;
  return {
    objective: policyObjective({
      lossType,
      level,
      clip,
      beta: options.beta ?? 0,
      klEstimator: checks.choice("klEstimator", options.klEstimator ?? "k3", ["k1", "k2", "k3", "abs"]),
      isKlCorrected: options.useBiasCorrectionKl ?? true,
      sapo: { temperaturePos: positive("sapoTemperaturePos", 1), temperatureNeg: positive("sapoTemperatureNeg", 1.05) },
      vespo: {
        kPos: positive("vespoKPos", 2),
        lambdaPos: positive("vespoLambdaPos", 3),
        kNeg: positive("vespoKNeg", 3),
        lambdaNeg: positive("vespoLambdaNeg", 2),
      },
    }),
    tokenWeight: tokenWeights[lossType],
    clip: { ...clip, level, measure },
    entropyWeight: (totals, activeTokens) => entropyWeight(lossType, totals, activeTokens),
    topEntropyQuantile: checks.number("topEntropyQuantile", options.topEntropyQuantile ?? 1, 0, 1, true),
    offPolicyMaskThreshold:
      threshold === undefined ? undefined : checks.number("offPolicyMaskThreshold", threshold, Number.NEGATIVE_INFINITY),
    samplerCorrection: options.samplingImportanceCorrection
      ? {
          mode,
          clipMax: positive("samplingImportanceClipMax", 3),
          clipMin: checks.number("samplingImportanceClipMin", options.samplingImportanceClipMin ?? 0, 0),
        }
      : undefined,
    foldsCorrection: lossType === "vespo",
  };
}

function resolveAdaptiveEntropy(options: GrpoOptions, checks: OptionChecks): EntropyControlOptions {
  const min = checks.number("entropyCoefMin", options.entropyCoefMin ?? 0, 0);
  return {
    target: checks.number("entropyTarget", options.entropyTarget ?? 0.2, 0),
    delta: checks.number("entropyCoefDelta", options.entropyCoefDelta ?? 0.005, 0, undefined, true),
    min,
    max: checks.number("entropyCoefMax", options.entropyCoefMax ?? 1, min),
  };
}

/** The options with those of their preset where they leave something open. */
function withPreset(options: GrpoOptions, checks: OptionChecks): GrpoOptions {
  if (options.preset === undefined) return options;
  const preset = checks.choice("preset", options.preset, Object.keys(grpoPresets) as GrpoPreset[]);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return { ...grpoPresets[preset], ...(given as unknown as GrpoOptions) };
}
