/**
 * Direct preference optimisation (Rafailov et al. 2023) with every loss type, f-divergence and weighting of TRL's DPOTrainer.
 *
 *   loss = mean over the step's pairs of w Σ_k weight_k term_k,   the terms being functions of log π - log π_ref (losses/preference/dpo.ts)
 *
 * Left out of TRL's trainer: `logits/*` metrics (logits are never formed), images, dropout. Departures: aot and aot_unpaired sort the
 * values of the whole optimiser step, for which a pass without gradient goes before.
 */
import { gatherRows, rowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import { tokenLogprob } from "../autograd/token-logprob";
import type { Batch } from "../data/batch";
import { DataOrder } from "../data/order";
import { weighted } from "../losses/objective";
import { matchByRank, type SideValues } from "../losses/preference/aot";
import { dpoLoss } from "../losses/preference/dpo";
import type { Matched } from "../losses/preference/dpo-pairs";
import { pairSums } from "../losses/preference/pair-logps";
import { wpoWeights } from "../losses/preference/wpo";
import type { Decoder } from "../models/decoder";
import { type DpoOptions, type DpoSettings, resolveDpo } from "./dpo-options";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import { createOptimizer } from "./options";
import {
  inverseLengthTensors,
  type Pair,
  pairBatches,
  pairLength,
  pairReads,
  reportedPairMetrics,
  reportPairs,
  targetsOf,
} from "./pair-batches";
import { openReferenceLogps } from "./reference-logps";
import { sequenceLogps } from "./sequence-logps";
import { type TrainingStep, trainingSteps } from "./training-steps";

export type { DpoOptions } from "./dpo-options";

/** One optimiser step; metrics under TRL's names, see docs/algorithms/dpo.md. */
export type DpoStep = TrainingStep;

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* dpo(options: DpoOptions): AsyncGenerator<DpoStep, void, undefined> {
  const { decoder } = options.model;
  const { settings, pairs, maxSteps } = resolveDpo(options);
  const limits = { rows: 2 * settings.microBatchRows, tokens: settings.microBatchTokens };
  const order = new DataOrder(pairs.length, settings.seed, settings.shuffleDataset);
  const sides = pairs.map(({ chosen, rejected }) => [chosen, rejected]);
  const reference = await openReferenceLogps(decoder, sides, settings, limits);
  const optimizer = createOptimizer(decoder.trainable, settings);
  try {
    yield* trainingSteps({
      algorithm: "dpo",
      settings,
      maxSteps,
      models: { model: { parameters: decoder.trainable, optimizer }, others: reference.others },
      resume: options.resume,
      async take(step, learningRate) {
        const rows = order.slice(step * settings.rowsPerStep, settings.rowsPerStep);
        const taken = rows.map((i) => pairs[i] as Pair);
        const refs = bySide(await reference.of(rows));
        const logps = async () =>
          bySide(
            await sequenceLogps(
              decoder,
              rows.flatMap((i) => sides[i] as Pair[keyof Pair][]),
              limits,
            ),
          );
        const matched = settings.isSorting ? matchByRank(await logps(), refs) : undefined;
        const update = await updateOn(taken, refs, matched, decoder, settings, { optimizer, learningRate });
        reference.follow(step + 1);
        return { ...update, epoch: ((step + 1) * settings.rowsPerStep) / pairs.length };
      },
    });
  } finally {
    reference.dispose();
    optimizer.dispose();
  }
}

/** chosen, rejected, chosen, ... */
function bySide(values: Float32Array): SideValues {
  return { chosen: values.filter((_, i) => i % 2 === 0), rejected: values.filter((_, i) => i % 2 === 1) };
}

/** One optimiser step on some pairs, in as many micro-batches as the settings ask for. */
async function updateOn(
  pairs: readonly Pair[],
  refs: SideValues,
  matched: Matched<Float32Array> | undefined,
  decoder: Decoder,
  settings: DpoSettings,
  updating: Updating,
) {
  const chosenTokens = targetsOf(pairs.map(({ chosen }) => chosen));
  const tokens = chosenTokens + targetsOf(pairs.map(({ rejected }) => rejected));
  const options = { ...settings.loss, meanChosenLength: chosenTokens / pairs.length };
  const { outcome, reports } = await optimiserStep(
    decoder.device,
    [updating],
    pairBatches(pairs, decoder.config.vocabSize, settings).map(({ rows, batch, lengths, weights }) => ({
      reads: { ...pairReads(rows.length), entropy: 1, hit: 1 },
      forward(tape, report) {
        const constant = (values: ArrayLike<number>) => tape.constant(Float32Array.from(rows, (row) => values[row] as number));
        const { logp, entropy, hit, lse, doubledLse } = logprobsOf(tape, decoder, batch, settings.useWeighting);
        const offsets = { offsets: batch.targetOffsets };
        const policy = pairSums(tape, logp, { ...offsets, weights: weights && tape.constant(weights) });
        const inverse = inverseLengthTensors(tape, lengths);
        const preference = dpoLoss(
          tape,
          {
            chosenLogps: policy.chosen,
            rejectedLogps: policy.rejected,
            refChosenLogps: constant(refs.chosen),
            refRejectedLogps: constant(refs.rejected),
            ...inverse,
            chosenTokenSums: weights && pairSums(tape, logp, offsets).chosen,
            pairWeights: doubledLse && wpoWeights(tape, { logps: logp, lse, doubledLse, ...inverse }, offsets),
            matched: matched && {
              refGaps: constant(matched.refGaps),
              chosenLogratios: constant(matched.chosenLogratios),
              rejectedLogratios: constant(matched.rejectedLogratios),
            },
          },
          options,
        );
        reportPairs(report, preference, policy);
        report.sum("entropy", entropy);
        report.sum("hit", pairSums(tape, hit, offsets).chosen);
        return weighted(tape, preference.losses, 1 / pairs.length);
      },
    })),
    settings,
  );
  return {
    skipped: outcome.skipped,
    tokens: pairs.reduce((sum, pair) => sum + pairLength(pair), 0),
    metrics: {
      loss: total(reports, "loss") / pairs.length,
      grad_norm: outcome.gradNorm,
      entropy: total(reports, "entropy") / tokens,
      mean_token_accuracy: total(reports, "hit") / chosenTokens,
      ...reportedPairMetrics(reports),
    },
  };
}

/** What `batchLogprobs` gives, and log Σ exp(2 logits) where the pairs are weighted. (M) each */
function logprobsOf(tape: Tape, decoder: Decoder, batch: Batch, useWeighting: boolean) {
  const hidden = gatherRows(tape, decoder.forward(tape, batch), rowIndex(tape, batch.predictors));
  const targets = tape.constant(batch.targets);
  const doubledLse = useWeighting ? tokenLogprob(tape, hidden, decoder.head, targets, 0.5).lse : undefined;
  return { ...tokenLogprob(tape, hidden, decoder.head, targets), doubledLse };
}
