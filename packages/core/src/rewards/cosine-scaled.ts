/** Correctness scaled by length along a cosine: short is best where right, long is forgiven where wrong. */
import { hostMath } from "@trimtab/kernels";
import type { RewardFunction } from "../rl/rewards";
import { accuracyReward } from "./accuracy";
import { type NamedRewardOptions, namedReward } from "./named-reward";
import { requireOptions } from "./require-options";
import { rewardTotal } from "./reward-total";

export interface CosineScaledRewardOptions extends NamedRewardOptions {
  /** Tokens at which the long-completion bound is reached. */
  readonly maxLen: number;
  /** Reward of a wrong completion of length 0. Default -1. */
  readonly minValueWrong?: number | undefined;
  /** Reward of a wrong completion of maxLen tokens or more. Default -0.5. */
  readonly maxValueWrong?: number | undefined;
  /** Reward of a right completion of maxLen tokens or more. Default 0.5. */
  readonly minValueCorrect?: number | undefined;
  /** Reward of a right completion of length 0. Default 1. */
  readonly maxValueCorrect?: number | undefined;
  /** What says whether a completion is right: a reward above 0. Default {@link accuracyReward} on the column "solution". */
  readonly accuracy?: RewardFunction | undefined;
}

/**
 * Reward `cosine_scaled_reward`: low + (high - low) / 2 · (1 + cos(π min(|y| / maxLen, 1))) with |y| in tokens; (low, high) is
 * (minValueCorrect, maxValueCorrect) where right and (maxValueWrong, minValueWrong) where wrong; null where `accuracy` is null.
 * Yeo et al. 2025 (arXiv 2502.03373), appendix C.1, as TRL's get_cosine_scaled_reward.
 */
export function cosineScaledReward(options: CosineScaledRewardOptions): RewardFunction {
  const { name = "cosine_scaled_reward", maxLen, accuracy = accuracyReward() } = options;
  const { minValueWrong = -1, maxValueWrong = -0.5, minValueCorrect = 0.5, maxValueCorrect = 1 } = options;
  requireOptions(name, { maxLen: [maxLen, maxLen > 0, "above 0"] });
  return namedReward(name, async (args) => {
    const correct = await accuracy(args);
    return args.completionIds.map((ids, b) => {
      const value = rewardTotal(correct[b]);
      if (value === null) return null;
      const [low, high] = value > 0 ? [minValueCorrect, maxValueCorrect] : [maxValueWrong, minValueWrong];
      const cosine = hostMath.cos(Math.PI * Math.min(ids.length / maxLen, 1));
      return low + 0.5 * (high - low) * (1 + cosine);
    });
  });
}
