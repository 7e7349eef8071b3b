/** What a trainer with a value function learns from: a scored rollout with log-probabilities, values, advantages and returns of every token. */
import type { Decoder } from "../models/decoder";
import { objectiveMetrics } from "../rl/critic-metrics";
import { shapeScores } from "../rl/kl-reward";
import { valuedRollout } from "../rl/score-slots";
import { type Experience, type ScoredRollout, withAdvantages } from "../rl/scored-rollout";
import { assignCredit, type Credit, whitenCounting, withoutRows } from "../rl/token-credit";
import { type Critic, policyAndValues } from "./critic";
import type { CriticSettings } from "./critic-options";
import { perToken, rolloutLogps } from "./rollout-batches";

/** The models that look at a rollout. */
export interface Actors {
  readonly policy: Decoder;
  readonly critic: Critic;
  readonly reference: Decoder | undefined;
}

/**
 * Records log π, log π_ref and V of a rollout (one pass each, one where policy and critic share their trunk) and assigns credit; `weigh` says what
 * multiplies ∇ log π, by default the advantages. A completion without a score teaches nothing: its tokens do not count.
 */
export async function criticExperience(
  scored: ScoredRollout,
  { policy, critic, reference }: Actors,
  klCoef: number,
  settings: CriticSettings,
  weigh: (credit: Credit) => Float64Array = ({ advantages }) => advantages,
): Promise<Experience> {
  const learned = withoutRows(scored.rollout, (row) => Number.isNaN(scored.rewards[row]));
  const { rollout, valueMask } = valuedRollout(learned, settings.scorePlacement, settings.maxCompletionLength);
  const recorded = await perToken(policy, { ...rollout, mask: valueMask }, settings, ["logp", "values"], (tape, batch) =>
    policyAndValues(tape, policy, critic, batch, settings.temperature),
  );
  const { values } = recorded;
  const logps = recorded.logp.map((logp, n) => (rollout.mask[n] ? logp : 0));
  const refLogps = reference && (await rolloutLogps(reference, rollout, settings));
  const scores = shapeScores(
    scored.rewards,
    rollout.ends.map((end) => end !== "length"),
    { clipRange: settings.rewardClipRange, missingEosPenalty: settings.missingEosPenalty },
  );
  const { stepRewards, tokenRewards } = scored;
  const credit = assignCredit({ rollout, valueMask, scores, stepRewards, tokenRewards, logps, refLogps, values }, { ...settings, klCoef });
  const weights = settings.whitenAdvantages ? whitenCounting(weigh(credit), rollout.mask, true) : weigh(credit);
  const advantages = Float32Array.from(weights, (weight, n) => (rollout.mask[n] ? weight : 0));
  return {
    rollout,
    advantages,
    oldLogps: logps,
    refLogps,
    values,
    returns: Float32Array.from(credit.returns),
    valueMask: settings.scorePlacement === "trl" ? Float32Array.from(valueMask) : undefined,
    completions: withAdvantages({ ...scored, rollout }, advantages),
    metrics: { ...scored.metrics, ...objectiveMetrics({ rollout, scores, logps, refLogps, values, valueMask, credit, klCoef }) },
  };
}
