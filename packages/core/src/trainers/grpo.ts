/**
 * Group relative policy optimisation (Shao et al. 2024) and its family, as in TRL's GRPOTrainer: Dr. GRPO, DAPO, GSPO and GSPO-token, CISPO,
 * GMPO, SAPO, LUSPO, VESPO, GDPO, process supervision, two-sided, asymmetric and dual clipping, KL to a reference that may follow.
 *
 * Each round: sample `numGenerations` completions of each prompt, score them, turn rewards into advantages within groups, and
 * take optimiser steps on the surrogate that `lossType` names. The policy that samples is the policy that trains.
 *
 * Left out: a replay buffer of groups, images.
 */
import { type EntropyControl, entropyCoefOf, nextEntropyControl } from "../rl/kl-controllers";
import { learnedFrom, type ScoredCompletion, withAdvantages } from "../rl/scored-rollout";
import { collectWithSpread } from "./dynamic-sampling";
import { groupAdvantagesOf } from "./group-advantages";
import { type GrpoOptions, resolveGrpo } from "./grpo-settings";
import { createOptimizer } from "./options";
import { updatePolicy } from "./policy-update";
import { openMovingReference } from "./reference-model";
import { rolloutLogps } from "./rollout-batches";
import { Rounds } from "./rounds";
import { type TrainingStep, trainingSteps } from "./training-steps";

export type { GrpoRecipe } from "./grpo-options";
export type { GrpoOptions } from "./grpo-settings";

/** One optimiser step; metrics under TRL's names, see docs/algorithms/grpo.md. */
export interface GrpoStep extends TrainingStep {
  /** The completions this step was taken on. */
  readonly completions: readonly ScoredCompletion[];
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work, RewardError from rewards. */
export async function* grpo(options: GrpoOptions): AsyncGenerator<GrpoStep, void, undefined> {
  const settings = resolveGrpo(options);
  const { model } = options;
  const { decoder } = model;
  const optimizer = createOptimizer(decoder.trainable, settings);
  const reference = openMovingReference(settings.reference, decoder);
  let entropyControl: EntropyControl = { coef: settings.entropyCoef, entropy: null };

  const rounds = new Rounds(settings, async (prompts, position, trainerState, draw) => {
    const scored = await collectWithSpread(model, { prompts, position }, trainerState, settings, draw);
    const advantages = groupAdvantagesOf(scored, settings);
    return {
      rollout: scored.rollout,
      advantages,
      oldLogps: settings.needsOldLogps ? await rolloutLogps(decoder, scored.rollout, settings) : undefined,
      refLogps: reference.decoder && (await rolloutLogps(reference.decoder, scored.rollout, settings)),
      completions: withAdvantages(scored, advantages),
      metrics: scored.metrics,
      sampledTokens: scored.sampledTokens,
    };
  });

  try {
    yield* trainingSteps({
      algorithm: "grpo",
      settings,
      maxSteps: settings.totalSteps,
      models: { model: { parameters: decoder.trainable, optimizer }, others: reference.others },
      resume: options.resume,
      place: {
        capture: () => ({ ...rounds.capture(), entropyControl }),
        restore(json) {
          rounds.restore(json);
          entropyControl = json.entropyControl as EntropyControl;
        },
      },
      async take(step, learningRate) {
        const { experience, rows, tokens, epoch } = await rounds.next(step);
        const { adaptiveEntropy } = settings;
        const coef = adaptiveEntropy ? entropyCoefOf(entropyControl, adaptiveEntropy) : settings.entropyCoef;
        const update = await updatePolicy(rows, experience, decoder, settings, settings.plan, { optimizer, learningRate }, coef);
        if (adaptiveEntropy) entropyControl = nextEntropyControl(entropyControl, update.activeEntropy, adaptiveEntropy);
        reference.follow(step + 1);
        const hasBonus = adaptiveEntropy !== undefined || settings.entropyCoef !== 0;
        return {
          metrics: {
            ...experience.metrics,
            ...update.metrics,
            ...(hasBonus ? { policy_loss: update.policyLoss, entropy_coef: coef } : {}),
          },
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
