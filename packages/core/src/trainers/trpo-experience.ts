/** What TRPO learns from where there is no value function: completions compared with each other, or their rewards to go. */
import { groupAdvantages, leaveOneOut } from "@trimtab/kernels";
import type { Decoder } from "../models/decoder";
import { objectiveMetrics } from "../rl/critic-metrics";
import { shapeScores } from "../rl/kl-reward";
import { spreadRows } from "../rl/rollout";
import { type Experience, type ScoredRollout, withAdvantages } from "../rl/scored-rollout";
import { assignCredit, whitenCounting, withoutRows } from "../rl/token-credit";
import { rolloutLogps } from "./rollout-batches";
import type { TrpoSettings } from "./trpo-options";

/** Records log π and log π_ref of a scored rollout and assigns credit. A completion without a score teaches nothing: its tokens do not count. */
export async function trpoExperience(
  scored: ScoredRollout,
  policy: Decoder,
  reference: Decoder | undefined,
  settings: TrpoSettings & { readonly advantage: "group" | "leave_one_out" | "return" },
): Promise<Experience> {
  const { klCoef, numGenerations: groupSize, scaleRewards, rewardClipRange, missingEosPenalty } = settings;
  const rollout = withoutRows(scored.rollout, (row) => Number.isNaN(scored.rewards[row]));
  const { mask: valueMask, ends } = rollout;
  const logps = await rolloutLogps(policy, rollout, settings);
  const refLogps = reference && (await rolloutLogps(reference, rollout, settings));
  const scores = shapeScores(
    scored.rewards,
    ends.map((end) => end !== "length"),
    { clipRange: rewardClipRange, missingEosPenalty },
  );
  const { stepRewards, tokenRewards } = scored;
  const values = new Float32Array(rollout.tokens.length);
  // With values of 0 and λ = 1 the advantage of GAE is the return.
  const credit = assignCredit({ rollout, valueMask, scores, stepRewards, tokenRewards, logps, refLogps, values }, { ...settings, lam: 1 });
  const returns = scores.map((score, row) => score - klCoef * (credit.kl[row] as number));
  const rules = {
    group: () => Float64Array.from(spreadRows(rollout, groupAdvantages(returns, { groupSize, scaleRewards }))),
    leave_one_out: () => Float64Array.from(spreadRows(rollout, leaveOneOut(returns, { groupSize }))),
    return: () => credit.advantages,
  };
  const earned = rules[settings.advantage]();
  const advantages = Float32Array.from(settings.whitenAdvantages ? whitenCounting(earned, valueMask, true) : earned);
  const { "val/explained_variance": _, ...metrics } = objectiveMetrics({
    rollout,
    scores,
    logps,
    refLogps,
    values,
    valueMask,
    credit,
    klCoef,
  });
  return {
    rollout,
    advantages,
    refLogps,
    pricedLogps: logps,
    completions: withAdvantages({ ...scored, rollout }, advantages),
    metrics: { ...scored.metrics, ...metrics },
  };
}
