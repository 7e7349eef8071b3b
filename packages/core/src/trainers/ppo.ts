/**
 * Proximal policy optimisation for language models: RLHF as OpenAI did it (Ziegler et al. 2019, Stiennon et al. 2020, Ouyang et al. 2022), with the
 * objective of Schulman et al. 2017 and the defaults of TRL's PPOTrainer.
 *
 * Each round: sample completions, score them, price every token's KL to a reference in its reward, estimate advantages with a value model, and take
 * optimiser steps on the clipped surrogate and the value loss. Variants: a KL penalty instead of the clip, an adaptive price of the KL, a
 * pretraining loss beside it all (PPO-ptx).
 *
 * Left out: the exponential moving average of the weights (InstructGPT).
 */
import { fusedClippedLoss } from "../losses/policy/fused-clipped";
import { klPenaltyLoss } from "../losses/policy/kl-penalty";
import { dotProduct } from "../losses/policy/result";
import { updateMetrics } from "../rl/critic-metrics";
import { nextKlCoef, nextPenaltyBeta } from "../rl/kl-controllers";
import { klEstimators } from "../rl/kl-reward";
import type { Metrics } from "../rl/metrics";
import { type Experience, learnedFrom, type ScoredCompletion } from "../rl/scored-rollout";
import { collect } from "./collect";
import { openCritic } from "./critic";
import { criticExperience } from "./critic-experience";
import { criticUpdate, type Surrogate } from "./critic-update";
import { createOptimizer, learningRates } from "./options";
import { type PpoOptions, type PpoSettings, resolvePpo } from "./ppo-options";
import { pretrainingMix } from "./pretraining-mix";
import { openMovingReference } from "./reference-model";
import { rolloutLogps } from "./rollout-batches";
import { Rounds } from "./rounds";
import { type TrainingStep, trainingSteps } from "./training-steps";

export type { PpoOptions } from "./ppo-options";

/** One optimiser step; metrics under TRL's names, see docs/algorithms/ppo.md. Its state holds the value model as "value". */
export interface PpoStep extends TrainingStep {
  /** The completions this step was taken on. */
  readonly completions: readonly ScoredCompletion[];
}

/** What the controllers have come to. */
interface Controls {
  readonly klCoef: number;
  readonly beta: number;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work, RewardError from rewards. */
export async function* ppo(options: PpoOptions): AsyncGenerator<PpoStep, void, undefined> {
  const settings = resolvePpo(options);
  const { model, ptxDataset } = options;
  const { decoder: policy } = model;
  const mix = ptxDataset && settings.pretraining && pretrainingMix(ptxDataset, settings.pretraining, model, settings);
  const critic = openCritic(settings.valueModel, model, settings.seed);
  const reference = openMovingReference(settings.reference, policy);
  const optimizer = createOptimizer(policy.trainable, settings);
  const valueOptimizer = createOptimizer(critic.parameters, settings);
  const valueRate = learningRates({ ...settings, learningRate: settings.valueLearningRate }, settings.totalSteps);
  let controls: Controls = { klCoef: settings.klCoef, beta: settings.penaltyBeta };

  const rounds = new Rounds(settings, async (prompts, position, trainerState) => {
    const scored = await collect(model, prompts, position, trainerState, settings);
    const actors = { policy, critic, reference: reference.decoder };
    const { metrics, ...experience } = await criticExperience(scored, actors, controls.klCoef, settings);
    const { "objective/kl": kl } = metrics;
    const episodes = scored.completions.length;
    if (kl !== undefined) controls = { ...controls, klCoef: nextKlCoef(controls.klCoef, { kl, episodes }, settings.klControl) };
    return { ...experience, metrics: { ...metrics, episode: (position + prompts.length) * settings.numGenerations } };
  });

  try {
    yield* trainingSteps({
      algorithm: "ppo",
      settings,
      maxSteps: settings.totalSteps,
      models: {
        model: { parameters: policy.trainable, optimizer },
        others: { value: { parameters: critic.parameters, optimizer: valueOptimizer }, ...reference.others },
      },
      resume: options.resume,
      place: {
        capture: () => ({ rounds: rounds.capture(), ...controls }),
        restore({ rounds: place, klCoef, beta }) {
          rounds.restore(place as Record<string, unknown>);
          controls = { klCoef, beta } as Controls;
        },
      },
      async take(step, learningRate) {
        const { experience, rows, tokens, epoch, isLast } = await rounds.next(step);
        const update = await criticUpdate(
          {
            rows,
            experience,
            policy,
            critic,
            surrogate: surrogates[settings.penalty](settings, controls.beta),
            cliprangeValue: settings.cliprangeValue,
            pretraining: mix?.(step),
            updating: [
              { optimizer, learningRate },
              { optimizer: valueOptimizer, learningRate: valueRate(step) },
            ],
          },
          settings,
        );
        reference.follow(step + 1);
        const metrics: Metrics = {
          ...experience.metrics,
          ...update.metrics,
          ...updateMetrics(update.tokens, settings.penalty === "clip" ? settings.cliprange : undefined),
          lr: learningRate,
        };

        const isFar = settings.earlyStopKl !== undefined && (metrics["policy/approxkl_avg"] ?? 0) > 1.5 * settings.earlyStopKl;
        if (settings.earlyStopKl !== undefined) metrics["policy/early_stop"] = isFar ? 1 : 0;
        if (isFar) rounds.endRound();
        if (settings.penalty === "kl") {
          metrics["policy/penalty_beta"] = controls.beta;
          if (isLast || isFar) {
            const kl = await klFromOld(experience, await rolloutLogps(policy, experience.rollout, settings));
            metrics["policy/penalty_kl"] = kl;
            controls = { ...controls, beta: nextPenaltyBeta(controls.beta, kl, settings.penaltyTarget) };
          }
        }
        return {
          metrics,
          tokens,
          epoch,
          skipped: update.skipped,
          completions: learnedFrom(experience, rows),
        };
      },
    });
  } finally {
    for (const owned of [valueOptimizer, optimizer, reference, critic]) owned.dispose();
  }
}

/** The two surrogates, by what keeps an update near the policy it began with. */
const surrogates: Readonly<Record<PpoSettings["penalty"], (settings: PpoSettings, beta: number) => Surrogate>> = {
  clip:
    ({ cliprange }) =>
    (tape, inputs) =>
      fusedClippedLoss(tape, inputs, { epsilonLow: cliprange, epsilonHigh: cliprange, delta: 0, dualClip: 0 }, 0),
  kl: (_, beta) => (tape, inputs) => {
    const { losses } = klPenaltyLoss(tape, inputs, { beta });
    return { roots: [[losses, inputs.weights]], loss: dotProduct(tape, losses, inputs.weights) };
  },
};

/** Mean over the counting tokens of KL(π_old ‖ π), estimated by k3 at tokens that π_old chose. */
function klFromOld({ rollout, oldLogps }: Experience, logps: Float32Array): number {
  let [sum, count] = [0, 0];
  rollout.mask.forEach((counts, n) => {
    if (!counts) return;
    sum += klEstimators.k3((oldLogps?.[n] as number) - (logps[n] as number));
    count += 1;
  });
  return sum / Math.max(1, count);
}
