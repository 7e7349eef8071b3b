/** The rewards that a command line or a configuration file can name. */
import { ConfigError } from "../errors";
import type { RewardFunction } from "../rl/rewards";
import { accuracyReward } from "./accuracy";
import { cosineScaledReward } from "./cosine-scaled";
import { countdownReward } from "./countdown";
import { exactMatchReward } from "./exact-match";
import { formatReward, thinkFormatReward } from "./format";
import { gsm8kReward } from "./gsm8k";
import { jsonSchemaReward } from "./json-schema";
import { languageConsistencyReward } from "./language-consistency";
import { lengthReward } from "./length";
import { numericMatchReward } from "./numeric-match";
import { repetitionPenaltyReward } from "./repetition-penalty";
import { softOverlongPunishmentReward } from "./soft-overlong-punishment";

/** By name: what makes each reward from its options. `codeReward` is not here, since it needs a sandbox. */
export const builtInRewards = {
  accuracy: accuracyReward,
  "cosine-scaled": cosineScaledReward,
  countdown: countdownReward,
  "exact-match": exactMatchReward,
  format: formatReward,
  gsm8k: gsm8kReward,
  "json-schema": jsonSchemaReward,
  "language-consistency": languageConsistencyReward,
  length: lengthReward,
  "numeric-match": numericMatchReward,
  "repetition-penalty": repetitionPenaltyReward,
  "soft-overlong-punishment": softOverlongPunishmentReward,
  "think-format": thinkFormatReward,
} as const;

export type BuiltInRewardName = keyof typeof builtInRewards;

/** Makes a built-in reward from its name and options, which may come from JSON. Throws ConfigError for an unknown name or a bad option. */
export function builtInReward(name: string, options: Readonly<Record<string, unknown>> = {}): RewardFunction {
  if (!Object.hasOwn(builtInRewards, name)) {
    throw new ConfigError(`reward: it must be one of ${Object.keys(builtInRewards).join(", ")}, got "${name}". Correct the name.`);
  }
  const make = builtInRewards[name as BuiltInRewardName] as (options: Readonly<Record<string, unknown>>) => RewardFunction;
  return make(options);
}
