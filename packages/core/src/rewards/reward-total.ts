/** The number of a reward that may carry parts. */
import type { RewardValues } from "../rl/rewards";

/** A reward's total; null where the function did not apply. */
export function rewardTotal(reward: RewardValues[number]): number | null {
  return (typeof reward === "object" ? reward?.total : reward) ?? null;
}
