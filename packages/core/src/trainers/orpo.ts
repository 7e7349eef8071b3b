/**
 * Odds-ratio preference optimisation (Hong et al. 2024): supervised learning on the chosen completion and a preference in one loss,
 * without a reference model.
 *
 *   loss = nll(chosen) - β · mean over pairs of log σ(log odds(chosen) - log odds(rejected))
 *
 * The nll is a mean over the tokens of prompt and chosen completion, as in TRL and the paper's code. Left out of TRL's ORPOTrainer:
 * `logits/*` metrics (logits are never formed), dropout.
 */
import type { Sequence } from "../data/batch";
import { DataOrder } from "../data/order";

import { weighted } from "../losses/objective";
import { orpoLoss } from "../losses/preference/orpo";
import { pairSums } from "../losses/preference/pair-logps";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import { type FeedbackOptions, requireFeedbackRoom, resolveLengths, stepCount } from "./feedback-options";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import { createOptimizer, OptionChecks, resolveTraining, type TrainingSettings } from "./options";
import {
  inverseLengthTensors,
  type Pair,
  pairBatches,
  pairLength,
  pairReads,
  readPairs,
  reportedPairMetrics,
  reportPairs,
  targetsOf,
} from "./pair-batches";
import { countTargets } from "./sequence-logps";
import { type TrainingStep, trainingSteps } from "./training-steps";

/** `dataset` holds preferences: `prompt`, `chosen`, `rejected` (the prompt may be what the two begin with). */
export interface OrpoOptions extends FeedbackOptions {
  /** Weight of the preference (λ in the paper). Default 0.1. */
  readonly beta?: number | undefined;
  /** Take the nll over the completion only. Default false, as in TRL. */
  readonly completionOnlyLoss?: boolean | undefined;
}

/** One optimiser step; metrics under TRL's names, see docs/algorithms/orpo.md. */
export type OrpoStep = TrainingStep;

interface OrpoSettings extends TrainingSettings {
  readonly beta: number;
  readonly completionOnlyLoss: boolean;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* orpo(options: OrpoOptions): AsyncGenerator<OrpoStep, void, undefined> {
  const { decoder } = options.model;
  const { settings, pairs, maxSteps } = prepare(options);
  const order = new DataOrder(pairs.length, settings.seed, settings.shuffleDataset);
  const optimizer = createOptimizer(decoder.trainable, settings);
  try {
    yield* trainingSteps({
      algorithm: "orpo",
      settings,
      maxSteps,
      models: { model: { parameters: decoder.trainable, optimizer } },
      resume: options.resume,
      async take(step, learningRate) {
        const taken = order.slice(step * settings.rowsPerStep, settings.rowsPerStep).map((i) => pairs[i] as Pair);
        const update = await updateOn(taken, decoder, settings, { optimizer, learningRate });
        return { ...update, epoch: ((step + 1) * settings.rowsPerStep) / pairs.length };
      },
    });
  } finally {
    optimizer.dispose();
  }
}

/** One optimiser step on some pairs, in as many micro-batches as the settings ask for. */
async function updateOn(pairs: readonly Pair[], decoder: Decoder, settings: OrpoSettings, updating: Updating) {
  const learned = settings.completionOnlyLoss ? pairs : pairs.map(({ chosen, rejected }) => ({ chosen: withPrompt(chosen), rejected }));
  const options = { beta: settings.beta, meanNllLength: targetsOf(learned.map(({ chosen }) => chosen)) / pairs.length };
  const { outcome, reports } = await optimiserStep(
    decoder.device,
    [updating],
    pairBatches(learned, decoder.config.vocabSize, settings).map(({ rows, batch }) => ({
      reads: { ...pairReads(rows.length), nll: 1, logOddsRatios: 1, logOddsChosen: 1 },
      forward(tape, report) {
        const taken = rows.map((row) => pairs[row] as Pair);
        const lengths = [...taken.map(({ chosen }) => chosen), ...taken.map(({ rejected }) => rejected)].map(countTargets);
        const { logp } = batchLogprobs(tape, decoder, batch); // (M)
        const offsets = { offsets: batch.targetOffsets };
        const policy = pairSums(tape, logp, { ...offsets, mask: tape.constant(endsMask(batch.targetOffsets, lengths)) });
        const preference = orpoLoss(
          tape,
          {
            chosenLogps: policy.chosen,
            rejectedLogps: policy.rejected,
            ...inverseLengthTensors(tape, lengths),
            nllLogps: pairSums(tape, logp, offsets).chosen,
          },
          options,
        );
        reportPairs(report, preference, policy);
        report.sum("nll", preference.nlls);
        report.sum("logOddsRatios", preference.logOddsRatios);
        report.sum("logOddsChosen", preference.logOddsChosen);
        return weighted(tape, preference.losses, 1 / pairs.length);
      },
    })),
    settings,
  );
  const meanOf = (name: "loss" | "nll" | "logOddsRatios" | "logOddsChosen") => total(reports, name) / pairs.length;
  return {
    skipped: outcome.skipped,
    tokens: pairs.reduce((sum, pair) => sum + pairLength(pair), 0),
    metrics: {
      loss: meanOf("loss"),
      grad_norm: outcome.gradNorm,
      nll_loss: meanOf("nll"),
      log_odds_ratio: meanOf("logOddsRatios"),
      log_odds_chosen: meanOf("logOddsChosen"),
      ...reportedPairMetrics(reports),
    },
  };
}

/** The same tokens, all of which count. */
const withPrompt = ({ tokens }: Sequence): Sequence => ({ tokens, mask: new Uint8Array(tokens.length).fill(1) });

/** 1 at the last `lengths[s]` targets of each sequence: those of the completion. (M) */
function endsMask(targetOffsets: Uint32Array, lengths: readonly number[]): Float32Array {
  const mask = new Float32Array(targetOffsets.at(-1) as number);
  lengths.forEach((length, s) => {
    const end = targetOffsets[s + 1] as number;
    mask.fill(1, end - length, end);
  });
  return mask;
}

/** Checks the options, all at once, and then the dataset, row by row. */
function prepare(options: OrpoOptions): { settings: OrpoSettings; pairs: readonly Pair[]; maxSteps: number } {
  const { tokenizer, decoder } = options.model;
  const checks = new OptionChecks();
  const training = resolveTraining(options, { learningRate: 1e-6 }, checks);
  const lengths = resolveLengths(options, decoder, checks);
  const beta = checks.number("beta", options.beta ?? 0.1, 0);
  checks.throwIfAny("orpo");
  requireFeedbackRoom(decoder, false);
  const pairs = readPairs(options.dataset, tokenizer, decoder, lengths);
  return {
    settings: { ...training, beta, completionOnlyLoss: options.completionOnlyLoss ?? false },
    pairs,
    maxSteps: stepCount(training, pairs.length),
  };
}
