/**
 * REINFORCE (Williams 1992) and what has grown from it: returns to go, baselines, REINFORCE++ and its baseline form, ReMax, OPO, GPG.
 *
 *   loss = Σ_t w_t L_t,   L_t = -A_t log π(o_t) on fresh completions, PPO's clipped surrogate where a round gets several steps
 *
 * Each round: sample completions, score them, price the KL to the reference per token where it belongs into the reward, turn rewards per token
 * into advantages (reinforce-advantages.ts), and take optimiser steps. A critic instead of a baseline is PPO's and A2C's.
 */
import { tokenRewards } from "../rl/kl-reward";
import { mean } from "../rl/mean";
import { learnedFrom, type ScoredCompletion, type ScoredRollout, withAdvantages } from "../rl/scored-rollout";
import { collect, sampleAndScore } from "./collect";
import { createOptimizer } from "./options";
import { updatePolicy } from "./policy-update";
import { openMovingReference } from "./reference-model";
import { type RunningMean, reinforceAdvantages } from "./reinforce-advantages";
import { type ReinforceOptions, resolveReinforce } from "./reinforce-options";
import { rolloutLogps } from "./rollout-batches";
import { Rounds } from "./rounds";
import { type TrainingStep, trainingSteps } from "./training-steps";

export type { ReinforceOptions } from "./reinforce-options";

/** One optimiser step; metrics under TRL's names, see docs/algorithms/reinforce.md. */
export interface ReinforceStep extends TrainingStep {
  readonly completions: readonly ScoredCompletion[];
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work, RewardError from rewards. */
export async function* reinforce(options: ReinforceOptions): AsyncGenerator<ReinforceStep, void, undefined> {
  const settings = resolveReinforce(options);
  const { model } = options;
  const { decoder } = model;
  const optimizer = createOptimizer(decoder.trainable, settings);
  const reference = openMovingReference(settings.reference, decoder);
  let running: RunningMean = { mean: 0, count: 0 };

  const rounds = new Rounds(settings, async (prompts, position, trainerState) => {
    const scored = await collect(model, prompts, position, trainerState, settings);
    const { rollout, rewards } = scored;
    const greedy =
      settings.advantageEstimator === "remax"
        ? await sampleAndScore(model, prompts, position, trainerState, { ...settings, numGenerations: 1, temperature: 0 })
        : undefined;
    const isPriced = settings.klPlacement === "reward";
    const refLogps = reference.decoder && (await rolloutLogps(reference.decoder, rollout, settings));
    const needsOld = settings.stepsPerRollout > 1 || (refLogps !== undefined && isPriced);
    const oldLogps = needsOld ? await rolloutLogps(decoder, rollout, settings) : undefined;
    const priced = rewardsPerToken(scored, isPriced ? settings : { ...settings, beta: 0 }, oldLogps, refLogps);
    const greedyRewards = greedy?.scored.rewards;
    const result = reinforceAdvantages({ rollout, tokenRewards: priced.rewards, rewards, greedyRewards, running }, settings);
    const baseline = running.mean;
    running = result.running;
    return {
      rollout,
      advantages: result.advantages,
      oldLogps: settings.stepsPerRollout > 1 ? oldLogps : undefined,
      refLogps: isPriced ? undefined : refLogps,
      ...(isPriced ? { pricedLogps: refLogps && oldLogps, pricedRefLogps: refLogps } : {}),
      completions: withAdvantages(scored, result.advantages),
      metrics: {
        ...scored.metrics,
        ...(refLogps && isPriced ? { "objective/kl": mean(priced.kl) } : {}),
        ...(settings.advantageEstimator === "reinforce" && settings.baseline === "running_mean" ? { baseline } : {}),
        ...(greedyRewards ? { "reward/greedy": mean(Array.from(greedyRewards).filter((reward) => !Number.isNaN(reward))) } : {}),
      },
    };
  });

  try {
    yield* trainingSteps({
      algorithm: "reinforce",
      settings,
      maxSteps: settings.totalSteps,
      models: { model: { parameters: decoder.trainable, optimizer }, others: reference.others },
      resume: options.resume,
      place: {
        capture: () => ({ ...rounds.capture(), running }),
        restore(json) {
          rounds.restore(json);
          running = json.running as RunningMean;
        },
      },
      async take(step, learningRate) {
        const { experience, rows, tokens, epoch } = await rounds.next(step);
        const update = await updatePolicy(rows, experience, decoder, settings, settings.plan, { optimizer, learningRate });
        reference.follow(step + 1);
        return {
          metrics: { ...experience.metrics, ...update.metrics },
          tokens,
          epoch,
          skipped: update.skipped,
          completions: learnedFrom(experience, rows),
        };
      },
    });
  } finally {
    reference.dispose();
    optimizer.dispose();
  }
}

/** r_t: the completion's reward at its last token, or what its tokens earned one by one, less the price of the KL. (N) */
function rewardsPerToken(
  { rollout, rewards: totals, tokenRewards: given }: ScoredRollout,
  { beta, klEstimator }: Pick<ReturnType<typeof resolveReinforce>, "beta" | "klEstimator">,
  logps: Float32Array | undefined,
  refLogps: Float32Array | undefined,
): { rewards: Float64Array; kl: Float64Array } {
  const { offsets, mask, completionStarts } = rollout;
  const nothing = new Float32Array(mask.length);
  // Where tokens earned something themselves, that is the reward, and no score follows at the end.
  const scores = totals.map((total, row) => (given[row] ? Number.NaN : total));
  const compared = logps && refLogps ? { logps, refLogps } : { logps: nothing, refLogps: nothing };
  const priced = tokenRewards({ scores, ...compared, offsets, mask }, { klCoef: beta, klEstimator });
  given.forEach((values, row) => {
    values?.forEach((value, t) => {
      const at = (completionStarts[row] as number) + t;
      if (mask[at]) priced.rewards[at] = (priced.rewards[at] as number) + value;
    });
  });
  return priced;
}
