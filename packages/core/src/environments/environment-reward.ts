/** The reward that environments themselves give, as one reward function among others. */
import { RewardError } from "../errors";
import type { RewardFunction } from "../rl/rewards";

/**
 * What each episode's environment rewarded (`rewards/environment/*` in the metrics), with its parts at the actions that earned them. Give it
 * to a trainer whose `rolloutFunction` is an `environmentRollout`, alone or beside others. Throws RewardError without such rewards.
 */
export const environmentReward: RewardFunction = Object.defineProperty(
  ({ environmentRewards }: Parameters<RewardFunction>[0]) => {
    if (environmentRewards) return environmentRewards;
    throw new RewardError(
      "reward `environment`: completions must come from an environment, got none. Set rolloutFunction to an environmentRollout.",
    );
  },
  "name",
  { value: "environment" },
);
