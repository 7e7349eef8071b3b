/** The reward functions that a command's options name, in the order of --reward-weights. */
import { type Device, environmentReward, loadRewardNormalization, type RewardFunction, rewardModelFunction } from "@trimtab/core";
import { nodeDirectory } from "../files";
import { loadScalarModel } from "./load-scalar-model";
import { namedDirectory } from "./named-model";

export interface RewardFlags {
  /** A model with a score head, by directory or by name on the hub, which is one more reward. */
  readonly rewardModel?: string | undefined;
}

/** The environment's own reward where completions come from one, then the modules', then the reward model's with its normalisation. */
export async function rewardsOf(
  { rewardModel }: RewardFlags,
  given: { readonly modules: readonly RewardFunction[]; readonly isFromEnvironment: boolean; readonly device: Device },
): Promise<RewardFunction[]> {
  const rewards = [...(given.isFromEnvironment ? [environmentReward] : []), ...given.modules];
  if (rewardModel === undefined) return rewards;
  const directory = await namedDirectory(rewardModel);
  const judge = await loadScalarModel("--reward-model", directory, given.device);
  return [...rewards, rewardModelFunction(judge, { normalization: await loadRewardNormalization(nodeDirectory(directory)) })];
}
