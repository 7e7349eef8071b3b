/**
 * Contrastive preference optimisation (Xu et al. 2024), SimPO (Meng et al. 2024) and AlphaPO (Gupta et al. 2025): preferences without a
 * reference model.
 *
 *   loss = mean over the step's pairs of curve(v(chosen) - v(rejected)) + cpoAlpha · nll(chosen)   (losses/preference/cpo.ts)
 *
 * The nll is a mean over the chosen completions' tokens. Left out of TRL's CPOTrainer: `logits/*` metrics (logits are never formed), dropout.
 */
import { DataOrder } from "../data/order";
import { weighted } from "../losses/objective";
import { type CpoForm, type CpoLossOptions, type CpoLossType, cpoForms, cpoLoss } from "../losses/preference/cpo";
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
import { type TrainingStep, trainingSteps } from "./training-steps";

/** `dataset` holds preferences: `prompt`, `chosen`, `rejected` (the prompt may be what the two begin with). */
export interface CpoOptions extends FeedbackOptions {
  /** Default "sigmoid". "alphapo" is "simpo" without the nll, which needs `alpha`. */
  readonly lossType?: CpoLossType | "alphapo" | undefined;
  /** Steepness of the curve. Default 0.1; SimPO: 2 to 10. */
  readonly beta?: number | undefined;
  /** Chance that a label is wrong (sigmoid, simpo, alphapo). Default 0. */
  readonly labelSmoothing?: number | undefined;
  /** Margin that simpo and alphapo ask for. Default 0.5. */
  readonly simpoGamma?: number | undefined;
  /** AlphaPO's bend of the log-probabilities; 0 leaves them as they are. Default 0. */
  readonly alpha?: number | undefined;
  /** Weight of the nll. Default 1; SimPO itself: 0. Always 0 for alphapo. */
  readonly cpoAlpha?: number | undefined;
}

/** One optimiser step; metrics under TRL's names, see docs/algorithms/cpo.md. */
export type CpoStep = TrainingStep;

interface CpoSettings extends TrainingSettings {
  readonly form: CpoForm;
  readonly loss: Omit<CpoLossOptions, "meanNllLength">;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* cpo(options: CpoOptions): AsyncGenerator<CpoStep, void, undefined> {
  const { decoder } = options.model;
  const { settings, pairs, maxSteps } = prepare(options);
  const order = new DataOrder(pairs.length, settings.seed, settings.shuffleDataset);
  const optimizer = createOptimizer(decoder.trainable, settings);
  try {
    yield* trainingSteps({
      algorithm: "cpo",
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
async function updateOn(pairs: readonly Pair[], decoder: Decoder, { form, loss, ...settings }: CpoSettings, updating: Updating) {
  const options = { ...loss, meanNllLength: targetsOf(pairs.map(({ chosen }) => chosen)) / pairs.length };
  const { outcome, reports } = await optimiserStep(
    decoder.device,
    [updating],
    pairBatches(pairs, decoder.config.vocabSize, settings).map(({ rows, batch, lengths }) => ({
      reads: { ...pairReads(rows.length), nll: 1 },
      forward(tape, report) {
        const policy = pairSums(tape, batchLogprobs(tape, decoder, batch).logp, { offsets: batch.targetOffsets });
        const inputs = { chosenLogps: policy.chosen, rejectedLogps: policy.rejected, ...inverseLengthTensors(tape, lengths) };
        const preference = cpoLoss(tape, inputs, form, options);
        reportPairs(report, preference, policy);
        report.sum("nll", preference.nlls);
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
      nll_loss: total(reports, "nll") / pairs.length,
      ...reportedPairMetrics(reports),
    },
  };
}

/** Checks the options, all at once, and then the dataset, row by row. */
function prepare(options: CpoOptions): { settings: CpoSettings; pairs: readonly Pair[]; maxSteps: number } {
  const { tokenizer, decoder } = options.model;
  const checks = new OptionChecks();
  const training = resolveTraining(options, { learningRate: 1e-6 }, checks);
  const lengths = resolveLengths(options, decoder, checks);
  const lossType = checks.choice("lossType", options.lossType ?? "sigmoid", [...(Object.keys(cpoForms) as CpoLossType[]), "alphapo"]);
  const isAlphaPo = lossType === "alphapo";
  const alpha = checks.number("alpha", options.alpha ?? 0, Number.NEGATIVE_INFINITY);
  checks.check("alpha", alpha, !isAlphaPo || alpha !== 0, "given and not 0 for alphapo, e.g. 0.25");
  const loss = {
    alpha,
    beta: checks.number("beta", options.beta ?? 0.1, 0, undefined, true),
    labelSmoothing: checks.number("labelSmoothing", options.labelSmoothing ?? 0, 0, 1),
    simpoGamma: checks.number("simpoGamma", options.simpoGamma ?? 0.5, 0),
    cpoAlpha: isAlphaPo ? 0 : checks.number("cpoAlpha", options.cpoAlpha ?? 1, 0),
  };
  checks.throwIfAny("cpo");
  requireFeedbackRoom(decoder, false);
  const pairs = readPairs(options.dataset, tokenizer, decoder, lengths);
  return {
    settings: { ...training, form: cpoForms[isAlphaPo ? "simpo" : lossType], loss },
    pairs,
    maxSteps: stepCount(training, pairs.length),
  };
}
