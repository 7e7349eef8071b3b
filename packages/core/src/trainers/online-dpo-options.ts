/** Options of online DPO under TRL's names, with their defaults filled in and checked. */
import { requireTrainingRoom } from "../checkpoint/room";
import type { DpoTerm } from "../losses/preference/dpo-pairs";
import { dpoSigmoid } from "../losses/preference/dpo-pairwise";
import { dpoIpo } from "../losses/preference/dpo-per-token";
import type { RewardFunction } from "../rl/rewards";
import { OptionChecks } from "./options";
import type { ComparingJudge, RankingSettings } from "./ranked-pairs";
import { type ReferenceOptions, type ReferenceSettings, resolveReference } from "./reference-model";
import { type RolloutOptions, type RolloutSettings, resolveRollout, withPrompts } from "./rollout-options";

/** Two completions are sampled of every prompt; a round is one optimiser step's rows, so that pairs stay whole. */
export interface OnlineDpoOptions extends Omit<RolloutOptions, "rewards" | "numGenerations" | "stepsPerGeneration">, ReferenceOptions {
  /** One function or several; of a pair, the completion with the larger weighted sum is chosen. Either these or a judge. */
  readonly rewards?: RewardFunction | readonly RewardFunction[] | undefined;
  /** Says which completion of a pair is better, in place of rewards. */
  readonly judge?: ComparingJudge | undefined;
  /** Strength of the pull to the reference; or one for each epoch, the last of which stays. Default 0.1. */
  readonly beta?: number | readonly number[] | undefined;
  /** Default "sigmoid". "ipo" is on sums over tokens, as in TRL's OnlineDPOTrainer. */
  readonly lossType?: OnlineDpoLossType | undefined;
  /** Taken off the score of a completion that was cut short. Default: nothing. */
  readonly missingEosPenalty?: number | undefined;
  /** Longest completion in tokens. Default 64 (TRL's max_new_tokens), or half of the model's context where that is shorter. */
  readonly maxCompletionLength?: number | undefined;
  /** Divides the logits in sampling; the loss is that of the model itself, as in TRL. Default 0.9. */
  readonly temperature?: number | undefined;
}

export type OnlineDpoLossType = "sigmoid" | "ipo";

const lossTerms: Readonly<Record<OnlineDpoLossType, DpoTerm>> = { sigmoid: dpoSigmoid, ipo: dpoIpo };

/** Options with defaults filled in, and the prompts' tokens. */
export interface OnlineDpoSettings extends RolloutSettings, RankingSettings {
  /** One for each epoch; the last one stays. */
  readonly betas: readonly number[];
  readonly term: DpoTerm;
  readonly reference: ReferenceSettings;
}

/** Throws ConfigError listing every bad option, then DataError for the first bad prompt. */
export function resolveOnlineDpo(options: OnlineDpoOptions): OnlineDpoSettings {
  const checks = new OptionChecks();
  const { judge, lossType = "sigmoid", beta = 0.1 } = options;
  const { decoder } = options.model;
  const given = {
    ...options,
    rewards: options.rewards ?? [],
    stepsPerGeneration: undefined,
    maxCompletionLength: options.maxCompletionLength ?? Math.min(64, Math.floor(decoder.config.maxPositions / 2)),
    temperature: options.temperature ?? 0.9,
    numGenerations: 2,
  };
  const defaults = { learningRate: 5e-7, numGenerations: 2, leastGenerations: 2, leastRewards: judge ? 0 : 1 };
  const rollout = resolveRollout(given, defaults, checks);
  checks.check("judge", "both a judge and rewards", judge === undefined || rollout.rewards.length === 0, "given without rewards");
  const betas = typeof beta === "number" ? [beta] : beta;
  checks.check("beta", betas.length, betas.length > 0, "at least one number");
  for (const one of betas) checks.number("beta", one, 0, undefined, true);
  const settings = {
    ...rollout,
    judge,
    betas,
    term: lossTerms[checks.choice("lossType", lossType, Object.keys(lossTerms) as OnlineDpoLossType[])],
    missingEosPenalty: checks.number("missingEosPenalty", options.missingEosPenalty ?? 0, 0),
    reference: resolveReference(options, decoder, true, checks),
  };
  checks.throwIfAny("onlineDpo");
  requireTrainingRoom(decoder, settings.reference.isCopied ? 4 : 3);
  return withPrompts(settings, given);
}
