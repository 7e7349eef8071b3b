/**
 * Binary classifier optimisation (Jung et al. 2024): completions marked good or bad are told apart by a classifier on β (log π - log π_ref).
 *
 *   loss = mean over the step's rows of -w log σ(±(β (log π - log π_ref) - δ)),   δ = running mean of the steps' mean rewards
 *
 * Left out of TRL's BCOTrainer: `logits/*` metrics, dropout, and the classifier on prompt embeddings that underlying distribution matching
 * needs: its log-odds are an option. Departures: δ moves once an optimiser step, for which a pass without gradient goes before.
 */

import type { DatasetRow } from "../data/jsonl";
import { DataOrder } from "../data/order";
import { requireVocabulary } from "../data/tokenize";
import { tokenizeUnpaired } from "../data/tokenize-feedback";
import { bcoLoss, densityRatio, emptyRunningMean, extendMean, type RunningMean } from "../losses/preference/bco";
import { type FeedbackOptions, requireFeedbackRoom, resolveLengths, stepCount } from "./feedback-options";
import { createOptimizer, OptionChecks, resolveTraining, type TrainingSettings } from "./options";
import { openReferenceLogps, type ReferenceLogpsOptions, type ReferenceLogpsSettings, resolveReferenceLogps } from "./reference-logps";
import { sequenceLogps } from "./sequence-logps";
import { type TrainingStep, trainingSteps } from "./training-steps";
import { type UnpairedRow, unpairedRows, unpairedStep } from "./unpaired-step";

/** `dataset` holds `prompt`, `completion` and `label` (true: good), or preferences, which become two rows each. */
export interface BcoOptions extends FeedbackOptions, ReferenceLogpsOptions {
  /** Strength of the pull to the reference. Default 0.1. */
  readonly beta?: number | undefined;
  /**
   * Underlying distribution matching: the log-odds, by a classifier of yours, that a row's prompt is one of a good completion. Bad
   * completions then weigh as much as their prompts are like those of good ones. Default: none.
   */
  readonly promptLogit?: ((row: DatasetRow) => number) | undefined;
  /** Limits of these weights. Default 0.5 and 10. */
  readonly minDensityRatio?: number | undefined;
  readonly maxDensityRatio?: number | undefined;
}

/** One optimiser step; metrics under TRL's names, see docs/algorithms/bco.md. */
export type BcoStep = TrainingStep;

interface BcoRow extends UnpairedRow {
  readonly weight: number;
}

interface BcoSettings extends TrainingSettings, ReferenceLogpsSettings {
  readonly beta: number;
  readonly isWeighted: boolean;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* bco(options: BcoOptions): AsyncGenerator<BcoStep, void, undefined> {
  const { decoder } = options.model;
  const { settings, rows, maxSteps } = prepare(options);
  const { beta } = settings;
  const limits = { rows: settings.microBatchRows, tokens: settings.microBatchTokens };
  const order = new DataOrder(rows.length, settings.seed, settings.shuffleDataset);
  const sequences = rows.map(({ sequence }) => [sequence]);
  const reference = await openReferenceLogps(decoder, sequences, settings, limits);
  const optimizer = createOptimizer(decoder.trainable, settings);
  let rewards: RunningMean = emptyRunningMean;
  try {
    yield* trainingSteps({
      algorithm: "bco",
      settings,
      maxSteps,
      models: { model: { parameters: decoder.trainable, optimizer }, others: reference.others },
      resume: options.resume,
      place: {
        capture: () => ({ rewards }),
        restore(json) {
          rewards = json.rewards as RunningMean;
        },
      },
      async take(step, learningRate) {
        const indices = order.slice(step * settings.rowsPerStep, settings.rowsPerStep);
        const taken = indices.map((i) => rows[i] as BcoRow);
        const refs = await reference.of(indices);
        const logps = await sequenceLogps(
          decoder,
          taken.map(({ sequence }) => sequence),
          limits,
        );
        rewards = extendMean(rewards, logps.reduce((sum, logp, i) => sum + beta * (logp - (refs[i] as number)), 0) / logps.length);
        const { mean: delta } = rewards;
        const { metrics, ...update } = await unpairedStep(
          taken,
          refs,
          (tape, inputs, of) => {
            const weights = () => tape.constant(Float32Array.from(of, (row) => (taken[row] as BcoRow).weight));
            return bcoLoss(tape, { ...inputs, weights: settings.isWeighted ? weights() : undefined }, { beta, delta });
          },
          decoder,
          settings,
          { optimizer, learningRate },
        );
        reference.follow(step + 1);
        return { ...update, metrics: { ...metrics, delta }, epoch: ((step + 1) * settings.rowsPerStep) / rows.length };
      },
    });
  } finally {
    reference.dispose();
    optimizer.dispose();
  }
}

/** Checks the options, all at once, and then the dataset, row by row. */
function prepare(options: BcoOptions): { settings: BcoSettings; rows: BcoRow[]; maxSteps: number } {
  const { tokenizer, decoder } = options.model;
  const { promptLogit } = options;
  const checks = new OptionChecks();
  const training = resolveTraining(options, { learningRate: 5e-7 }, checks);
  const lengths = resolveLengths(options, decoder, checks);
  const reference = resolveReferenceLogps(options, decoder, checks);
  const beta = checks.number("beta", options.beta ?? 0.1, 0, undefined, true);
  const minDensityRatio = checks.number("minDensityRatio", options.minDensityRatio ?? 0.5, 0);
  const maxDensityRatio = checks.number("maxDensityRatio", options.maxDensityRatio ?? 10, minDensityRatio);
  checks.throwIfAny("bco");
  requireFeedbackRoom(decoder, !reference.precomputeRefLogProbs && reference.referenceModel.isCopied);

  const dataset = unpairedRows(options.dataset);
  const { examples } = tokenizeUnpaired(dataset, { tokenizer, ...lengths });
  requireVocabulary(
    examples.map(({ sequence, line }) => ({ ...sequence, line })),
    decoder.config.vocabSize,
  );
  const weightOf = (line: number, label: boolean) =>
    promptLogit && !label ? densityRatio(promptLogit(dataset[line - 1] as DatasetRow), { minDensityRatio, maxDensityRatio }) : 1;
  const rows = examples.map(({ line, sequence, label }) => ({ sequence, label, weight: weightOf(line, label) }));
  return {
    settings: { ...training, ...reference, beta, isWeighted: promptLogit !== undefined },
    rows,
    maxSteps: stepCount(training, rows.length),
  };
}
