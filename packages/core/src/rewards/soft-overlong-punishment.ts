/** A punishment that grows over the last tokens before a completion's limit. */
import type { RewardFunction } from "../rl/rewards";
import { type NamedRewardOptions, namedReward } from "./named-reward";
import { requireOptions } from "./require-options";

export interface SoftOverlongPunishmentOptions extends NamedRewardOptions {
  /** L_max: beyond so many tokens the reward is -1. */
  readonly maxCompletionLen: number;
  /** L_cache: over how many tokens before that it falls from 0 to -1; 0 punishes only what is beyond. */
  readonly softPunishCache: number;
}

/**
 * Reward `soft_overlong_punishment_reward`, |y| in tokens: 0 where |y| ≤ L_max - L_cache; ((L_max - L_cache) - |y|) / L_cache where
 * |y| ≤ L_max; -1 beyond. DAPO (arXiv 2503.14476), equation 13, as TRL's get_soft_overlong_punishment.
 */
export function softOverlongPunishmentReward(options: SoftOverlongPunishmentOptions): RewardFunction {
  const { name = "soft_overlong_punishment_reward", maxCompletionLen, softPunishCache } = options;
  requireOptions(name, {
    maxCompletionLen: [maxCompletionLen, maxCompletionLen > 0, "above 0"],
    softPunishCache: [softPunishCache, softPunishCache >= 0 && softPunishCache <= maxCompletionLen, "between 0 and maxCompletionLen"],
  });
  const free = maxCompletionLen - softPunishCache;
  return namedReward(name, ({ completionIds }) =>
    completionIds.map(({ length }) => {
      if (length <= free) return 0;
      return length <= maxCompletionLen ? (free - length) / softPunishCache : -1;
    }),
  );
}
