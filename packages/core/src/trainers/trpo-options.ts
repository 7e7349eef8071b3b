/** Options of TRPO, their defaults and their check. */
import { elementCount, type RewardScale } from "@trimtab/kernels";
import { requireTrainingRoom } from "../checkpoint/room";
import { type CriticOptions, type CriticSettings, requireCriticRoom, resolveCritic } from "./critic-options";
import { OptionChecks } from "./options";
import { withPrompts } from "./rollout-options";
import type { TrustRegionSettings } from "./trust-region";

/** How rewards become the advantages of tokens. */
export type TrpoAdvantage = "group" | "leave_one_out" | "return" | "gae";

/**
 * Those of A2C and PPO, with `klCoef` 0 by default; what they say of the value model, `learningRate` among it (default 1e-3), matters with
 * `advantage: "gae"` only: the policy's step has no learning rate.
 */
export interface TrpoOptions extends Omit<CriticOptions, "entropyCoef" | "vfCoef" | "valueLearningRate"> {
  /** Largest mean KL(old ‖ new) of a step, in nats per token. Default 0.01. */
  readonly delta?: number | undefined;
  /** Added to the diagonal of the Fisher matrix. Default 0.1. */
  readonly damping?: number | undefined;
  /** Rounds of conjugate gradients. Default 10. */
  readonly cgIterations?: number | undefined;
  /** Search for the largest share of the step that keeps KL and surrogate; false takes all of it (natural policy gradient). Default true. */
  readonly lineSearch?: boolean | undefined;
  /** Shares that the search tries: backtrackCoefficient^j, j = 0, 1, ... Default 10 and 0.8. */
  readonly backtrackIterations?: number | undefined;
  readonly backtrackCoefficient?: number | undefined;
  /**
   * Share of a step's completions, drawn once per step, that the Fisher matrix is measured on; the search checks the KL on all of them.
   * Default 1.
   */
  readonly fisherSubset?: number | undefined;
  /** Whether every token counts the same, or every completion, in surrogate and KL. Default "token". */
  readonly weighting?: "token" | "sequence" | undefined;
  /** Which parameters move, by name, e.g. `layers.0.attention.out`. Default: all. */
  readonly trainable?: ((name: string) => boolean) | undefined;
  /**
   * "group": the reward less its mean over the prompt's completions, divided by their deviation, as in GRPO. "leave_one_out": less the mean of the
   * others, as in RLOO. "return": the reward to go of each token. "gae": with a value model, as in PPO. Default "group".
   */
  readonly advantage?: TrpoAdvantage | undefined;
  /** Completions per prompt. Default 8 with "group" and "leave_one_out", else 1. */
  readonly numGenerations?: number | undefined;
  /** With "group": which standard deviation divides. Default "group". */
  readonly scaleRewards?: RewardScale | undefined;
  /** Steps of the value model per step of the policy. Default 10. */
  readonly valueIterations?: number | undefined;
}

/** Options with defaults filled in, and the prompts' tokens. */
export interface TrpoSettings extends CriticSettings, TrustRegionSettings {
  readonly fisherSubset: number;
  readonly weighting: "token" | "sequence";
  readonly isTrainable: (name: string) => boolean;
  readonly advantage: TrpoAdvantage;
  readonly scaleRewards: RewardScale;
  readonly valueIterations: number;
}

/** Vectors as long as what is trained that a step holds at most: gradient, scratch, direction, step, product, three of CG, start. */
const VECTORS = 9;

/** Throws ConfigError listing every bad option, then DataError for the first bad prompt. */
export function resolveTrpo(options: TrpoOptions): TrpoSettings {
  const { decoder } = options.model;
  const checks = new OptionChecks();
  const advantage = checks.choice("advantage", options.advantage ?? "group", ["group", "leave_one_out", "return", "gae"]);
  const isCompared = advantage === "group" || advantage === "leave_one_out";
  const plan = resolveCritic(
    { ...options, numGenerations: options.numGenerations ?? (isCompared ? 8 : 1) },
    {},
    { learningRate: 1e-3, klCoef: 0, vfCoef: 1, whitenAdvantages: !isCompared, valueModel: "separate" },
    checks,
  );
  if (isCompared) checks.count("numGenerations", plan.numGenerations, 2);
  const isTrainable = options.trainable ?? (() => true);
  const chosen = decoder.trainable.all.filter(({ name }) => isTrainable(name));
  checks.check("trainable", chosen.length, chosen.length > 0, `true for at least one of the ${decoder.trainable.all.length} parameters`);
  const backtrackCoefficient = checks.number("backtrackCoefficient", options.backtrackCoefficient ?? 0.8, 0, undefined, true);
  checks.check("backtrackCoefficient", backtrackCoefficient, backtrackCoefficient < 1, "below 1");
  const settings = {
    ...plan,
    learningRate: advantage === "gae" ? plan.learningRate : 0,
    delta: checks.number("delta", options.delta ?? 0.01, 0, undefined, true),
    damping: checks.number("damping", options.damping ?? 0.1, 0),
    cgIterations: checks.count("cgIterations", options.cgIterations ?? 10),
    lineSearch: options.lineSearch ?? true,
    backtrackIterations: checks.count("backtrackIterations", options.backtrackIterations ?? 10),
    backtrackCoefficient,
    fisherSubset: checks.number("fisherSubset", options.fisherSubset ?? 1, 0, 1, true),
    weighting: checks.choice("weighting", options.weighting ?? "token", ["token", "sequence"]),
    isTrainable,
    advantage,
    scaleRewards: checks.choice("scaleRewards", options.scaleRewards ?? "group", ["group", "batch", "none"]),
    valueIterations: checks.count("valueIterations", options.valueIterations ?? 10),
  };
  checks.throwIfAny("trpo");
  const share = chosen.reduce((sum, { shape }) => sum + elementCount(shape), 0) / decoder.trainable.count;
  requireTrainingRoom(decoder, VECTORS * share + (settings.reference.isCopied ? 1 : 0));
  if (advantage === "gae") requireCriticRoom(settings, decoder);
  return withPrompts(settings, options);
}
