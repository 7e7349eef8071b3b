/** Shorter is better among the completions of one prompt, most of all among the right ones. */
import type { RewardFunction } from "../rl/rewards";
import { type NamedRewardOptions, namedReward } from "./named-reward";
import { promptGroups } from "./prompt-groups";
import { rewardTotal } from "./reward-total";

export interface LengthRewardOptions extends NamedRewardOptions {
  /** What says whether a completion is right: a reward above 0. Without it every completion counts as right. */
  readonly accuracy?: RewardFunction | undefined;
}

/**
 * Reward `length_reward`: λ = 0.5 - (|y| - min) / (max - min) over the completions of one prompt, |y| in tokens; λ where right,
 * min(0, λ) where wrong, 0 where all are equally long, null where `accuracy` is null. Kimi k1.5 (arXiv 2501.12599, section 2.3.3).
 * Departure from open-r1's len_reward: minimum and maximum are those of the prompt's group, as in the paper, not of the whole batch.
 */
export function lengthReward({ name = "length_reward", accuracy }: LengthRewardOptions = {}): RewardFunction {
  return namedReward(name, async (args) => {
    const correct = accuracy ? await accuracy(args) : args.completions.map(() => 1);
    const rewards: (number | null)[] = [];
    for (const group of promptGroups(args.prompts)) {
      const lengths = group.map((b) => (args.completionIds[b] as Uint32Array).length);
      const [shortest, longest] = [Math.min(...lengths), Math.max(...lengths)];
      group.forEach((b, i) => {
        const value = rewardTotal(correct[b]);
        const lambda = longest === shortest ? 0 : 0.5 - ((lengths[i] as number) - shortest) / (longest - shortest);
        rewards.push(value === null ? null : value > 0 ? lambda : Math.min(0, lambda));
      });
    }
    return rewards;
  });
}
