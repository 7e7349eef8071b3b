/**
 * Trust region policy optimisation (Schulman et al. 2015) for language models, and the natural policy gradient (Kakade 2001).
 *
 * Each step: sample completions, score them, turn rewards into advantages, and take one step (trust-region.ts) that maximises the surrogate
 * while the exact KL to the policy that sampled stays within delta. There is no learning rate. A step that no length of which holds both is
 * rejected, and the parameters stay what they were to the last bit.
 *
 * Left out: sampling several completions from the same inner state (the paper's "vine").
 */
import { shuffle } from "@trimtab/kernels";
import type { AdamW } from "../optim/adamw";
import { ParameterSpace } from "../optim/flat-vector";
import { countingTokens, gatherCounting, type Rollout } from "../rl/rollout";
import { type Experience, learnedFrom, type ScoredCompletion } from "../rl/scored-rollout";
import { collect } from "./collect";
import { type Critic, openCritic } from "./critic";
import { criticExperience } from "./critic-experience";
import { valueUpdate } from "./critic-update";
import { createOptimizer } from "./options";
import { openMovingReference } from "./reference-model";
import { rolloutBatches } from "./rollout-batches";
import { Rounds } from "./rounds";
import type { TrainingModel } from "./training-model";
import { type TrainingStep, trainingSteps } from "./training-steps";
import { trpoExperience } from "./trpo-experience";
import { resolveTrpo, type TrpoOptions, type TrpoSettings } from "./trpo-options";
import { type TrustRegionBatch, type TrustRegionOutcome, trustRegionStep } from "./trust-region";

export type { TrpoAdvantage, TrpoOptions } from "./trpo-options";

/** One step; metrics under TRL's names where TRL has them, see docs/algorithms/trpo.md. */
export interface TrpoStep extends TrainingStep {
  /** The completions this step was taken on. */
  readonly completions: readonly ScoredCompletion[];
  readonly lineSearch: TrustRegionOutcome["lineSearch"];
}

/** Trains `model` and yields after every step. Throws ConfigError or DataError before any work, RewardError from rewards. */
export async function* trpo(options: TrpoOptions): AsyncGenerator<TrpoStep, void, undefined> {
  const settings = resolveTrpo(options);
  const { model } = options;
  const { decoder: policy } = model;
  const { advantage } = settings;
  const reference = openMovingReference(settings.reference, policy);
  const value = advantage === "gae" ? openValue(model, settings) : undefined;
  const space = new ParameterSpace(policy.trainable, settings.isTrainable);

  const rounds = new Rounds(settings, async (prompts, position, trainerState) => {
    const scored = await collect(model, prompts, position, trainerState, settings);
    if (advantage !== "gae") return trpoExperience(scored, policy, reference.decoder, { ...settings, advantage });
    const { critic } = value as ValueFunction;
    return criticExperience(scored, { policy, critic, reference: reference.decoder }, settings.klCoef, settings);
  });

  try {
    yield* trainingSteps({
      algorithm: "trpo",
      settings,
      maxSteps: settings.totalSteps,
      models: {
        model: { parameters: policy.trainable },
        others: { ...(value && { value: { optimizer: value.optimizer, parameters: value.critic.parameters } }), ...reference.others },
      },
      resume: options.resume,
      place: rounds,
      async take(step, learningRate) {
        const { experience, rows, tokens, epoch } = await rounds.next(step);
        const batches = stepBatches(experience, rows, policy.config.vocabSize, settings);
        const chosen = fisherRows(experience.rollout, rows, step, settings);
        const fisher = chosen ? stepBatches(experience, chosen, policy.config.vocabSize, settings) : batches;
        const outcome = await trustRegionStep(policy, space, batches, fisher, settings);
        const metrics = outcomeMetrics(outcome);
        if (value) {
          const learned = { rows, experience, policy, critic: value.critic, cliprangeValue: 0 };
          const updating = { optimizer: value.optimizer, learningRate };
          for (let i = 0; i < settings.valueIterations; i++) metrics["loss/value_avg"] = await valueUpdate(learned, updating, settings);
        }
        reference.follow(step + 1);
        return {
          metrics: { ...experience.metrics, ...metrics },
          tokens,
          epoch,
          skipped: !Number.isFinite(outcome.gradNorm),
          completions: learnedFrom(experience, rows),
          lineSearch: outcome.lineSearch,
        };
      },
    });
  } finally {
    space.dispose();
    value?.optimizer.dispose();
    value?.critic.dispose();
    reference.dispose();
  }
}

interface ValueFunction {
  readonly critic: Critic;
  readonly optimizer: AdamW;
}

function openValue(model: TrainingModel, settings: TrpoSettings): ValueFunction {
  const critic = openCritic(settings.valueModel, model, settings.seed);
  return { critic, optimizer: createOptimizer(critic.parameters, settings) };
}

/** The micro-batches of some rows. Weights sum to 1 over all of their counting tokens. */
function stepBatches(
  { rollout, advantages }: Experience,
  rows: readonly number[],
  vocabSize: number,
  settings: TrpoSettings,
): TrustRegionBatch[] {
  const counts = rows.map((row) => countingTokens(rollout, row));
  const tokens = counts.reduce((sum, count) => sum + count, 0);
  const sequences = counts.filter((count) => count > 0).length;
  return rolloutBatches(rollout, rows, vocabSize, settings).map(({ rows: taken, batch }) => {
    const weights = new Float32Array(batch.targets.length).fill(1 / tokens);
    if (settings.weighting === "sequence") {
      taken.forEach((_, s) => {
        const [from, to] = [batch.targetOffsets[s] as number, batch.targetOffsets[s + 1] as number];
        weights.fill(1 / (sequences * (to - from)), from, to);
      });
    }
    return { batch, weights, advantages: gatherCounting(rollout, taken, advantages) };
  });
}

/** The streams of the draws below, apart from those of sampling and shuffling. */
const FISHER_STREAM = 0xf15e0000;

/** The rows that the Fisher matrix of a step is measured on; undefined for all. Whole completions: what is left out costs nothing at all. */
function fisherRows(rollout: Rollout, rows: readonly number[], step: number, { fisherSubset, seed }: TrpoSettings): number[] | undefined {
  if (fisherSubset === 1) return undefined;
  const counting = rows.filter((row) => countingTokens(rollout, row) > 0);
  const order = shuffle(counting.length, seed, FISHER_STREAM + step);
  return Array.from(order.subarray(0, Math.ceil(fisherSubset * counting.length)).sort(), (i) => counting[i] as number);
}

function outcomeMetrics(outcome: TrustRegionOutcome): Record<string, number> {
  return {
    loss: -(outcome.surrogate + outcome.improvement),
    grad_norm: outcome.gradNorm,
    entropy: outcome.entropy,
    "trust_region/accepted": outcome.lineSearch === "accepted" ? 1 : 0,
    "trust_region/backtracks": outcome.backtracks,
    "trust_region/kl": outcome.kl,
    "trust_region/improvement": outcome.improvement,
    "trust_region/step_norm": outcome.stepNorm,
    "trust_region/curvature": outcome.curvature,
    "trust_region/cg_residual": outcome.residual,
  };
}
