/**
 * REINFORCE leave-one-out (Ahmadian et al. 2024), as in TRL's RLOOTrainer: a whole completion is one action, its baseline is the mean reward of
 * its siblings, the KL to the reference is taken from the reward, and several steps on a round are clipped as PPO clips them.
 *
 *   R_b = clip(Σ_k w_k r_k) - β Σ_t (log π_old - log π_ref),   A_b = R_b - mean of the siblings' R
 *   ρ_b = exp(Σ_t (log π - log π_old)),   loss = mean over completions of -min(ρ A, clip(ρ, 1 - ε, 1 + ε_high) A)
 */
import { leaveOneOut } from "@trimtab/kernels";
import { requireTrainingRoom } from "../checkpoint/room";
import { clippedSurrogate } from "../losses/policy/clipped";
import { composedObjective } from "../losses/policy/objectives";
import { importanceRatios } from "../losses/policy/ratios";
import { tokenWeights } from "../losses/token-weights";
import { shapeScores, tokenRewards } from "../rl/kl-reward";
import { mean } from "../rl/mean";
import { spreadRows } from "../rl/rollout";
import { learnedFrom, type ScoredCompletion, type ScoredRollout, withAdvantages } from "../rl/scored-rollout";
import { collect } from "./collect";
import { createOptimizer, OptionChecks } from "./options";
import { type PolicyPlan, plainPlan, updatePolicy } from "./policy-update";
import { openMovingReference, type ReferenceOptions, type ReferenceSettings, resolveReference } from "./reference-model";
import { rolloutLogps } from "./rollout-batches";
import { type RolloutOptions, type RolloutSettings, resolveRollout, withPrompts } from "./rollout-options";
import { Rounds } from "./rounds";
import { type TrainingStep, trainingSteps } from "./training-steps";

export interface RlooOptions extends RolloutOptions, ReferenceOptions {
  /** Completions per prompt, at least 2. Default 2. */
  readonly numGenerations?: number | undefined;
  /** Price of the KL to the reference in the reward, per nat. Default 0.05; 0 needs no reference. */
  readonly beta?: number | undefined;
  /** Clip range of the completion's ratio, below and, unless `epsilonHigh` is given, above. Default 0.2. */
  readonly epsilon?: number | undefined;
  readonly epsilonHigh?: number | undefined;
  /** Standardise the advantages over the round. Default false. */
  readonly normalizeAdvantages?: boolean | undefined;
  /** Clip the summed reward to this range, before the KL is taken off. Default: none. */
  readonly rewardClipRange?: readonly [low: number, high: number] | undefined;
}

interface RlooSettings extends RolloutSettings {
  readonly beta: number;
  readonly plan: PolicyPlan;
  readonly reference: ReferenceSettings;
  readonly normalizeAdvantages: boolean;
  readonly rewardClipRange: readonly [number, number] | undefined;
}

/** One optimiser step; metrics under TRL's names, see docs/algorithms/rloo.md. */
export interface RlooStep extends TrainingStep {
  readonly completions: readonly ScoredCompletion[];
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work, RewardError from rewards. */
export async function* rloo(options: RlooOptions): AsyncGenerator<RlooStep, void, undefined> {
  const settings = resolveRloo(options);
  const { decoder } = options.model;
  const optimizer = createOptimizer(decoder.trainable, settings);
  const reference = openMovingReference(settings.reference, decoder);

  const rounds = new Rounds(settings, async (prompts, position, trainerState) => {
    const scored = await collect(options.model, prompts, position, trainerState, settings);
    const { rollout, metrics } = scored;
    const refLogps = reference.decoder && (await rolloutLogps(reference.decoder, rollout, settings));
    const oldLogps = refLogps || settings.stepsPerRollout > 1 ? await rolloutLogps(decoder, rollout, settings) : undefined;
    const priced = refLogps && oldLogps ? priceOf(scored, oldLogps, refLogps) : undefined;
    const rewards = shapeScores(scored.rewards, [], { clipRange: settings.rewardClipRange }).map(
      (reward, row) => reward - settings.beta * (priced?.[row] ?? 0),
    );
    const shape = { groupSize: settings.numGenerations, normalize: settings.normalizeAdvantages };
    const advantages = spreadRows(rollout, leaveOneOut(rewards, shape));
    return {
      rollout,
      advantages,
      oldLogps: settings.stepsPerRollout > 1 ? oldLogps : undefined,
      pricedLogps: refLogps && oldLogps,
      pricedRefLogps: refLogps,
      completions: withAdvantages(scored, advantages),
      metrics: { ...metrics, ...(priced ? { kl: mean(priced) } : {}) },
    };
  });

  try {
    yield* trainingSteps({
      algorithm: "rloo",
      settings,
      maxSteps: settings.totalSteps,
      models: { model: { parameters: decoder.trainable, optimizer }, others: reference.others },
      resume: options.resume,
      place: rounds,
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

/** Σ_t (log π_old - log π_ref) of each completion. (S) */
function priceOf({ rollout, rewards }: ScoredRollout, logps: Float32Array, refLogps: Float32Array): Float64Array {
  const { offsets, mask } = rollout;
  return tokenRewards({ scores: rewards, logps, refLogps, offsets, mask }, { klCoef: 1 }).kl;
}

function resolveRloo(options: RlooOptions): RlooSettings {
  const { decoder } = options.model;
  const checks = new OptionChecks();
  const rollout = resolveRollout(options, { learningRate: 1e-6, numGenerations: 2, leastGenerations: 2 }, checks);
  const beta = checks.number("beta", options.beta ?? 0.05, 0);
  const epsilonLow = checks.number("epsilon", options.epsilon ?? 0.2, 0, undefined, true);
  const epsilonHigh = checks.number("epsilonHigh", options.epsilonHigh ?? epsilonLow, 0, undefined, true);
  const range = options.rewardClipRange;
  checks.check("rewardClipRange", range, range === undefined || range[0] <= range[1], "two rising numbers");
  const clip = { epsilonLow, epsilonHigh, delta: 0, dualClip: 0 };
  const settings = {
    ...rollout,
    beta,
    plan: {
      ...plainPlan,
      objective: composedObjective((tape, inputs) => clippedSurrogate(tape, inputs, clip), importanceRatios.sequence_sum, {
        beta: 0,
        klEstimator: "k1",
        isKlCorrected: false,
      }),
      tokenWeight: tokenWeights.grpo,
      clip: { ...clip, level: "sequence_sum", measure: "ratio" },
    } as const,
    reference: resolveReference(options, decoder, beta > 0, checks),
    normalizeAdvantages: options.normalizeAdvantages ?? false,
    rewardClipRange: range,
  };
  checks.throwIfAny("rloo");
  requireTrainingRoom(decoder, settings.reference.isCopied ? 4 : 3);
  return withPrompts(settings, options);
}
