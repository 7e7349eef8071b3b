/** GRPO's advantages per token, from the rewards of a scored rollout. */
import { groupAdvantages, normalizeThenSum, processAdvantages, type RewardScale } from "@trimtab/kernels";
import { spreadRows } from "../rl/rollout";
import type { ScoredRollout } from "../rl/scored-rollout";

export interface GroupAdvantageSettings {
  readonly numGenerations: number;
  readonly rewardWeights: readonly number[] | undefined;
  readonly scaleRewards: RewardScale;
  readonly multiObjectiveAggregation: "sum_then_normalize" | "normalize_then_sum";
  readonly supervision: "outcome" | "process";
}

/** A_t of every counting token, 0 elsewhere. (N) */
export function groupAdvantagesOf(scored: ScoredRollout, settings: GroupAdvantageSettings): Float32Array {
  const { rollout, rewards, rewardsByName } = scored;
  const { numGenerations: groupSize, rewardWeights, scaleRewards } = settings;
  if (settings.supervision === "process") return processSupervision(scored, groupSize, scaleRewards);
  if (settings.multiObjectiveAggregation === "sum_then_normalize") {
    return spreadRows(rollout, groupAdvantages(rewards, { groupSize, scaleRewards }));
  }
  const columns = [...rewardsByName.values()];
  const rows = Array.from(rewards, (_, s) => columns.map((column) => column[s] as number));
  return spreadRows(rollout, normalizeThenSum(rows, { groupSize, ...(rewardWeights ? { weights: rewardWeights } : {}) }).advantages);
}

/** Step rewards of a whole group, normalised together. A completion without steps is one step, which ends with it and earns its reward. */
function processSupervision({ rollout, rewards, stepRewards }: ScoredRollout, groupSize: number, scaleRewards: RewardScale): Float32Array {
  const { offsets: ends, completionStarts, mask } = rollout;
  const lengths = Array.from(completionStarts, (start, s) => (ends[s + 1] as number) - start);
  const offsets = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, s) => {
    offsets[s + 1] = (offsets[s] as number) + length;
  });
  const steps = lengths.map((length, s) => stepRewards[s] ?? [{ end: length - 1, value: rewards[s] as number }]);
  const perToken = processAdvantages({ steps, offsets, groupSize, scaleRewards });
  const advantages = new Float32Array(rollout.tokens.length);
  lengths.forEach((length, s) => {
    const [from, to] = [offsets[s] as number, completionStarts[s] as number];
    for (let t = 0; t < length; t++) {
      // Adding 0 makes -0 plain 0, so that what a checkpoint's JSON keeps is what was there.
      if (mask[to + t]) advantages[to + t] = (perToken[from + t] as number) + 0;
    }
  });
  return advantages;
}
