/** Options of GRPO under TRL's names, their defaults and their check. */
import type { RewardScale } from "@trimtab/kernels";
import { requireRoom } from "../checkpoint/room";
import type { PolicyLossOptions } from "../losses/policy-loss";
import type { LossType } from "../losses/token-weights";
import { OptionChecks } from "./options";
import { checkReference, type ReferenceOption } from "./reference-model";
import { type RolloutOptions, type RolloutSettings, resolveRollout, withPrompts } from "./rollout-options";

export interface GrpoOptions extends RolloutOptions {
  /** Completions per prompt, at least 2. Default 8. */
  readonly numGenerations?: number | undefined;
  /** Coefficient of the KL to the reference in the loss (k3). Default 0. */
  readonly beta?: number | undefined;
  /** Report `kl` even where beta is 0. Default false. */
  readonly logKl?: boolean | undefined;
  /** The reference model; "initial" is a copy of `model` as it is handed over. Default "initial"; made only where it is needed. */
  readonly reference?: ReferenceOption | undefined;
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
}

/** Options with defaults filled in, and the prompts' tokens. */
export interface GrpoSettings extends RolloutSettings {
  readonly needsReference: boolean;
  readonly loss: PolicyLossOptions;
  readonly lossType: LossType;
  readonly level: "token" | "sequence";
  readonly scaleRewards: RewardScale;
  readonly entropyCoef: number;
}

/** Throws ConfigError listing every bad option, then DataError for the first bad prompt. */
export function resolveGrpo(options: GrpoOptions): GrpoSettings {
  const { decoder } = options.model;
  const checks = new OptionChecks();
  const plan = resolveRollout(options, { learningRate: 1e-6, numGenerations: 8, leastGenerations: 2 }, checks);
  const epsilonLow = checks.number("epsilon", options.epsilon ?? 0.2, 0, undefined, true);
  const epsilonHigh = checks.number("epsilonHigh", options.epsilonHigh ?? epsilonLow, 0, undefined, true);
  const beta = checks.number("beta", options.beta ?? 0, 0);
  const { reference = "initial" } = options;
  checkReference(reference, decoder, checks);
  const settings = {
    ...plan,
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
  };
  checks.throwIfAny("grpo");
  requireRoom(decoder.device, decoder.config, settings.needsReference && reference === "initial" ? 4 : 3);
  return withPrompts(settings, options);
}
