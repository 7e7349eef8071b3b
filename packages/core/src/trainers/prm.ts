/**
 * Process reward models: a decoder with a scalar head learns to judge every step of a completion (Lightman et al. 2023), where the step ends.
 *
 *   loss = mean over the step's labelled steps of -y log σ(s) - (1 - y) log σ(-s),   or (s - y)² for rewards instead of labels
 *
 * Departures from TRL's PRMTrainer: one score instead of two logits (the score is their difference, so that σ(s) is the chance that a step
 * is right), and the mean is over the whole optimiser step.
 */
import { gatherRows, rowIndex } from "../autograd/gather";
import { requireTrainingRoom } from "../checkpoint/room";
import { collate } from "../data/batch";
import type { DatasetRow } from "../data/jsonl";
import { microBatches } from "../data/micro-batches";
import { DataOrder } from "../data/order";
import { requireVocabulary } from "../data/tokenize";
import { type TokenizedStepwise, tokenizeStepwise } from "../data/tokenize-feedback";
import { weighted } from "../losses/objective";
import { binaryLoss, ratingLoss } from "../losses/reward-model/pointwise";
import { type ScalarModel, scoresOf } from "../models/scalar-model";
import { labelMetrics, ratingMetrics, scoreMetrics } from "../rl/preference-metrics";
import { stepCount } from "./feedback-options";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import { createOptimizer, OptionChecks, resolveTraining, type TrainingOptions, type TrainingSettings } from "./options";
import { concatenated } from "./pair-batches";
import { requireScoreHead } from "./score-sequences";
import { type TrainingStep, trainingSteps } from "./training-steps";

/** What is made of a step's score: the curve of the loss, and how scores are compared with labels. */
const stepLosses = {
  binary: { lossOf: binaryLoss, metricsOf: labelMetrics },
  regression: { lossOf: ratingLoss, metricsOf: ratingMetrics },
} as const;

export interface PrmOptions extends TrainingOptions {
  /** Trained in place: `newScalarModel` makes one of a language model. */
  readonly model: ScalarModel;
  /** Rows with `prompt`, `completions` (the steps), and `labels` (true, false or a probability) or `rewards` (numbers) of the steps. */
  readonly dataset: readonly DatasetRow[];
  /** Default: "binary" for labels, "regression" for rewards. */
  readonly lossType?: keyof typeof stepLosses | undefined;
  /** Text after each step, at the last token of which the step is judged. Default "\n". */
  readonly stepSeparator?: string | undefined;
  /** Learn only from the last step's label. Default false. */
  readonly trainOnLastStepOnly?: boolean | undefined;
  /** Longest row in tokens; later steps are left out. Default 1024, or the model's context where that is shorter. */
  readonly maxLength?: number | undefined;
}

/** One optimiser step; metrics as those of reward models, see docs/algorithms/prm.md. */
export type PrmStep = TrainingStep;

interface PrmSettings extends TrainingSettings {
  readonly lossType: keyof typeof stepLosses;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* prm(options: PrmOptions): AsyncGenerator<PrmStep, void, undefined> {
  const { model } = options;
  const { trainable: parameters } = model.decoder;
  const { settings, rows, maxSteps } = prepare(options);
  const order = new DataOrder(rows.length, settings.seed, settings.shuffleDataset);
  const optimizer = createOptimizer(parameters, settings);
  try {
    yield* trainingSteps({
      algorithm: "prm",
      settings,
      maxSteps,
      models: { model: { parameters, optimizer } },
      resume: options.resume,
      async take(step, learningRate) {
        const taken = order.slice(step * settings.rowsPerStep, settings.rowsPerStep).map((i) => rows[i] as TokenizedStepwise);
        const update = await updateOn(taken, model, settings, { optimizer, learningRate });
        return { ...update, epoch: ((step + 1) * settings.rowsPerStep) / rows.length };
      },
    });
  } finally {
    optimizer.dispose();
  }
}

/** One optimiser step on some completions, in as many micro-batches as the settings ask for. */
async function updateOn(rows: readonly TokenizedStepwise[], model: ScalarModel, settings: PrmSettings, updating: Updating) {
  const { decoder, score } = model;
  const { lossOf, metricsOf } = stepLosses[settings.lossType];
  const lengths = rows.map(({ tokens }) => tokens.length);
  const steps = rows.reduce((sum, { ends }) => sum + ends.length, 0);
  const { outcome, reports } = await optimiserStep(
    decoder.device,
    [updating],
    microBatches(lengths, settings.microBatchRows, settings.microBatchTokens).map((indices) => {
      const taken = indices.map((i) => rows[i] as TokenizedStepwise);
      const batch = collate(taken.map(asSequence), decoder.config.vocabSize);
      const places = Uint32Array.from(taken.flatMap(({ ends }, s) => Array.from(ends, (end) => (batch.offsets[s] as number) + end)));
      return {
        reads: { loss: 1, scores: places.length },
        forward(tape, report) {
          const hidden = gatherRows(tape, decoder.forward(tape, batch), rowIndex(tape, places));
          const scores = scoresOf(tape, hidden, score); // (steps)
          const losses = lossOf(tape, scores, tape.constant(Float32Array.from(taken.flatMap(({ values }) => values))));
          report.sum("loss", losses);
          report.copy("scores", scores);
          return weighted(tape, losses, 1 / steps);
        },
      };
    }),
    settings,
  );
  const scores = concatenated(reports, "scores");
  return {
    skipped: outcome.skipped,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    metrics: {
      loss: total(reports, "loss") / steps,
      grad_norm: outcome.gradNorm,
      ...scoreMetrics(scores),
      ...metricsOf(
        scores,
        rows.flatMap(({ values }) => values),
      ),
    },
  };
}

/** No token is predicted. */
const asSequence = ({ tokens }: TokenizedStepwise) => ({ tokens, mask: new Uint8Array(tokens.length) });

/** Checks the options, all at once, and then the dataset, row by row. */
function prepare(options: PrmOptions): { settings: PrmSettings; rows: readonly TokenizedStepwise[]; maxSteps: number } {
  const { tokenizer, decoder } = options.model;
  const { maxPositions, vocabSize } = decoder.config;
  const { dataset, stepSeparator, trainOnLastStepOnly } = options;
  const checks = new OptionChecks();
  requireScoreHead(decoder, checks);
  const training = resolveTraining(options, { learningRate: 1e-5 }, checks);
  const maxLength = checks.count("maxLength", options.maxLength ?? Math.min(1024, maxPositions), 2);
  checks.check("maxLength", maxLength, maxLength <= maxPositions, `at most the model's context of ${maxPositions} tokens`);
  const fallback = dataset[0]?.rewards === undefined ? "binary" : "regression";
  const lossType = checks.choice("lossType", options.lossType ?? fallback, ["binary", "regression"]);
  checks.throwIfAny("prm");
  requireTrainingRoom(decoder, 3);
  const { examples } = tokenizeStepwise(dataset, { tokenizer, maxLength, stepSeparator, trainOnLastStepOnly });
  requireVocabulary(examples, vocabSize);
  return { settings: { ...training, lossType }, rows: examples, maxSteps: stepCount(training, examples.length) };
}
