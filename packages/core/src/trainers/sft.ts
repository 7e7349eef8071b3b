/**
 * Supervised fine-tuning (and pretraining): the negative log-likelihood of texts or completions.
 *
 *   loss = -Σ logp(target) / (targets of the whole optimiser step)
 *
 * Left out of TRL's SFTTrainer: dft, padding (batches are ragged, so there is none to be free of).
 */
import { requireTrainingRoom } from "../checkpoint/room";
import { collate } from "../data/batch";
import type { DatasetRow } from "../data/jsonl";
import { microBatches } from "../data/micro-batches";
import { DataOrder } from "../data/order";
import { type PackedRow, type PackingStrategy, pack } from "../data/packing";
import { requireVocabulary, tokenizeExamples } from "../data/tokenize";
import type { TruncationMode } from "../data/truncation";
import { nllLoss } from "../losses/nll";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import { createOptimizer, OptionChecks, resolveTraining, type TrainingOptions, type TrainingSettings } from "./options";
import type { TrainingModel } from "./training-model";
import { type TrainingStep, trainingSteps } from "./training-steps";

export interface SftOptions extends TrainingOptions {
  /** Trained in place. */
  readonly model: TrainingModel;
  /** Rows with `text`, `messages`, or `prompt` and `completion`. */
  readonly dataset: readonly DatasetRow[];
  /** Name of the text column. Default "text". */
  readonly datasetTextField?: string | undefined;
  /** Loss on completions only. Default: on for rows with a completion. */
  readonly completionOnlyLoss?: boolean | undefined;
  /**
   * Loss on what the assistant says only, in rows of `messages`: between the template's generation tags, or, where it has none, what each of the
   * assistant's turns adds to the rendering. Default false.
   */
  readonly assistantOnlyLoss?: boolean | undefined;
  /** Longest row in tokens. Default 1024, or the model's context where that is shorter. */
  readonly maxLength?: number | undefined;
  /** Which end of a row that is too long stays. Default "keep_start". */
  readonly truncationMode?: TruncationMode | undefined;
  /** Fill rows of `maxLength` tokens with several sequences. Default false. */
  readonly packing?: boolean | undefined;
  /** Default "bfd". */
  readonly packingStrategy?: PackingStrategy | undefined;
}

/** One optimiser step: TRL's metrics loss, grad_norm, learning_rate, epoch, num_tokens, entropy, mean_token_accuracy; and skipped_steps. */
export type SftStep = TrainingStep;

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* sft(options: SftOptions): AsyncGenerator<SftStep, void, undefined> {
  const { decoder } = options.model;
  const { settings, rows, maxSteps } = prepare(options);
  const order = new DataOrder(rows.length, settings.seed, settings.shuffleDataset);
  const optimizer = createOptimizer(decoder.trainable, settings);
  try {
    yield* trainingSteps({
      algorithm: "sft",
      settings,
      maxSteps,
      models: { model: { parameters: decoder.trainable, optimizer } },
      resume: options.resume,
      async take(step, learningRate) {
        const taken = order.slice(step * settings.rowsPerStep, settings.rowsPerStep).map((i) => rows[i] as PackedRow);
        const update = await updateOn(taken, decoder, settings, { optimizer, learningRate });
        return { ...update, epoch: ((step + 1) * settings.rowsPerStep) / rows.length };
      },
    });
  } finally {
    optimizer.dispose();
  }
}

/** One optimiser step on packed rows, in as many micro-batches as the settings ask for. */
async function updateOn(rows: readonly PackedRow[], decoder: Decoder, settings: TrainingSettings, updating: Updating) {
  const lengths = rows.map((row) => row.reduce((sum, s) => sum + s.tokens.length, 0));
  const batches = microBatches(lengths, settings.microBatchRows, settings.microBatchTokens).map((indices) =>
    collate(
      indices.flatMap((i) => rows[i] as PackedRow),
      decoder.config.vocabSize,
    ),
  );
  const targets = batches.reduce((sum, batch) => sum + batch.targets.length, 0);
  const { outcome, reports } = await optimiserStep(
    decoder.device,
    [updating],
    batches.map((batch) => ({
      reads: { logp: 1, entropy: 1, hit: 1 },
      forward(tape, report) {
        const { logp, entropy, hit } = batchLogprobs(tape, decoder, batch); // (M)
        report.sum("logp", logp);
        report.sum("entropy", entropy);
        report.sum("hit", hit);
        return nllLoss(tape, logp, 1 / targets);
      },
    })),
    settings,
  );
  return {
    skipped: outcome.skipped,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    metrics: {
      loss: -total(reports, "logp") / targets,
      grad_norm: outcome.gradNorm,
      entropy: total(reports, "entropy") / targets,
      mean_token_accuracy: total(reports, "hit") / targets,
    },
  };
}

/** Checks the options, all at once, and then the dataset, row by row. */
function prepare(options: SftOptions): { settings: TrainingSettings; rows: PackedRow[]; maxSteps: number } {
  const { tokenizer, decoder } = options.model;
  const { maxPositions, vocabSize } = decoder.config;
  const checks = new OptionChecks();
  const settings = resolveTraining(options, { learningRate: 2e-5 }, checks);
  const maxLength = checks.count("maxLength", options.maxLength ?? Math.min(1024, maxPositions), 2);
  checks.check("maxLength", maxLength, maxLength <= maxPositions, `at most the model's context of ${maxPositions} tokens`);
  const truncationMode = checks.choice("truncationMode", options.truncationMode ?? "keep_start", ["keep_start", "keep_end"]);
  const strategy = checks.choice("packingStrategy", options.packingStrategy ?? "bfd", ["bfd", "bfd_split", "wrapped"]);
  checks.throwIfAny("sft");
  requireTrainingRoom(decoder, 3);

  const { packing = false, dataset, datasetTextField, completionOnlyLoss, assistantOnlyLoss } = options;
  const cuts = packing && strategy !== "bfd";
  const sequences = tokenizeExamples(dataset, {
    tokenizer,
    datasetTextField,
    completionOnlyLoss,
    assistantOnlyLoss,
    truncationMode,
    maxLength: cuts ? undefined : maxLength,
  });
  requireVocabulary(sequences, vocabSize);
  const rows = packing ? pack(sequences, maxLength, strategy) : sequences.map((sequence) => [sequence]);
  const maxSteps = settings.maxSteps ?? Math.ceil((rows.length * settings.numTrainEpochs) / settings.rowsPerStep);
  return { settings, rows, maxSteps };
}
