/**
 * Group relative policy optimisation (Shao et al. 2024) with the variants of TRL's GRPOTrainer: bnpo, dr_grpo, dapo, GSPO's
 * sequence-level ratio, two-sided and asymmetric clipping, several passes over a generation batch, KL to a reference.
 *
 * Each round: sample `numGenerations` completions of each prompt, score them, turn rewards into advantages within groups, and
 * take optimiser steps on the clipped surrogate. The policy that samples is the policy that trains.
 *
 * Left out: the correction of sampler mismatch by importance weights (same weights, same device: the mismatch is rounding and
 * is reported as `sampling/*`), DAPO's resampling of groups without spread, tools, a reference that moves.
 */
import { groupAdvantages, POLICY_SUMS } from "@trimtab/kernels";
import type { Batch } from "../data/batch";
import { entropyBonus } from "../losses/entropy-bonus";
import { entropyWeight, type StepTotals, tokenWeights } from "../losses/token-weights";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import { policyMetrics, type UpdatedRow } from "../rl/metrics";
import { countingTokens, gatherCounting, spreadRows } from "../rl/rollout";
import { type Experience, type ScoredCompletion, withAdvantages } from "../rl/scored-rollout";
import { collect } from "./collect";
import { type GrpoOptions, type GrpoSettings, resolveGrpo } from "./grpo-options";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import { createOptimizer } from "./options";
import { surrogates } from "./policy-surrogates";
import { openReference } from "./reference-model";
import { rolloutBatches, rolloutLogps } from "./rollout-batches";
import { Rounds } from "./rounds";
import { type TrainingStep, trainingSteps } from "./training-steps";

export type { GrpoOptions } from "./grpo-options";

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
  const optimizer = createOptimizer(decoder.parameters, settings);
  const reference = openReference(options.reference ?? "initial", decoder, settings.needsReference);

  const rounds = new Rounds(settings, async (prompts, position, trainerState) => {
    const scored = await collect(model, prompts, position, trainerState, settings);
    const { rollout, rewards, metrics } = scored;
    const { numGenerations: groupSize, scaleRewards } = settings;
    const advantages = spreadRows(rollout, groupAdvantages(rewards, { groupSize, scaleRewards }));
    return {
      rollout,
      advantages,
      oldLogps: settings.stepsPerRollout > 1 ? await rolloutLogps(decoder, rollout, settings) : undefined,
      refLogps: reference.decoder && (await rolloutLogps(reference.decoder, rollout, settings)),
      completions: withAdvantages(scored, advantages),
      metrics,
    };
  });

  try {
    yield* trainingSteps({
      algorithm: "grpo",
      settings,
      maxSteps: settings.totalSteps,
      models: { model: { parameters: decoder.parameters, optimizer } },
      resume: options.resume,
      place: rounds,
      async take(step, learningRate) {
        const { experience, rows, tokens, epoch } = await rounds.next(step);
        const { metrics, skipped } = await updateOn(rows, experience, decoder, settings, { optimizer, learningRate });
        return {
          metrics: { ...experience.metrics, ...metrics },
          tokens,
          epoch,
          skipped,
          completions: rows.map((row) => experience.completions[row] as ScoredCompletion),
        };
      },
    });
  } finally {
    reference.dispose();
    optimizer.dispose();
  }
}

/** One optimiser step on some rows of a rollout, in as many micro-batches as the settings ask for. */
async function updateOn(rows: readonly number[], experience: Experience, decoder: Decoder, settings: GrpoSettings, updating: Updating) {
  const { rollout, advantages, oldLogps, refLogps } = experience;
  const counts = rollout.ends.map((_, row) => countingTokens(rollout, row));
  const tokensOf = (of: readonly number[]) => of.reduce((sum, row) => sum + (counts[row] as number), 0);
  const totals: StepTotals = {
    sequences: rows.length,
    tokens: tokensOf(rows),
    generationTokens: tokensOf(counts.map((_, row) => row)) / settings.stepsPerPass,
    maxCompletionLength: settings.maxCompletionLength,
  };
  const weightOf = (row: number) => tokenWeights[settings.lossType](counts[row] as number, totals);
  const bonus = settings.entropyCoef * entropyWeight(settings.lossType, totals);
  const pieces = rolloutBatches(rollout, rows, decoder.config.vocabSize, settings);

  const { outcome, reports } = await optimiserStep(
    decoder.device,
    [updating],
    pieces.map(({ rows: taken, batch }) => ({
      reads: { sums: 8, surrogate: 1, entropy: 1, logps: batch.targets.length },
      forward(tape, report) {
        const { logp, entropy } = batchLogprobs(tape, decoder, batch, settings.temperature); // (M)
        const constant = (values: Float32Array) => tape.constant(gatherCounting(rollout, taken, values));
        const roots = surrogates[settings.level](
          tape,
          {
            logps: logp,
            oldLogps: oldLogps ? constant(oldLogps) : logp,
            refLogps: refLogps && constant(refLogps),
            targetOffsets: batch.targetOffsets,
            advantages: gatherCounting(rollout, taken, advantages),
            weights: taken.map(weightOf),
          },
          settings.loss,
          { sums: report.window("sums"), surrogate: report.window("surrogate") },
        );
        report.sum("entropy", entropy);
        report.copy("logps", logp);
        return bonus === 0 ? roots : [...roots, ...entropyBonus(tape, entropy, bonus)];
      },
    })),
    settings,
  );
  const counted = Math.max(1, totals.tokens);
  const entropy = total(reports, "entropy");
  const policyLoss = total(reports, "sums", POLICY_SUMS.loss) + total(reports, "surrogate");
  const updated = pieces.flatMap(({ rows: taken, batch }, i) =>
    updatedRows(taken, batch, (reports[i] as { logps: Float32Array }).logps, experience),
  );
  return {
    skipped: outcome.skipped,
    metrics: {
      loss: policyLoss - bonus * entropy,
      grad_norm: outcome.gradNorm,
      entropy: entropy / counted,
      ...(refLogps ? { kl: total(reports, "sums", POLICY_SUMS.k3) / counted } : {}),
      ...(bonus === 0 ? {} : { policy_loss: policyLoss, entropy_coef: settings.entropyCoef }),
      ...policyMetrics(updated, { ...settings.loss, level: settings.level }),
    },
  };
}

/** The log-probabilities of a micro-batch's completions, row by row. */
function updatedRows(rows: readonly number[], batch: Batch, logps: Float32Array, experience: Experience): UpdatedRow[] {
  const { rollout, completions, oldLogps } = experience;
  return rows.map((row, s) => {
    const own = logps.subarray(batch.targetOffsets[s], batch.targetOffsets[s + 1]);
    return {
      logps: own,
      oldLogps: oldLogps ? gatherCounting(rollout, [row], oldLogps) : own,
      samplerLogps: gatherCounting(rollout, [row], rollout.samplerLogps),
      advantage: (completions[row] as ScoredCompletion).advantage,
    };
  });
}
