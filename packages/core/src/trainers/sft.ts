/**
 * Supervised fine-tuning (and pretraining): the negative log-likelihood of texts or completions.
 *
 *   loss = -Σ logp(target) / (targets of the whole optimiser step)
 *
 * Left out of TRL's SFTTrainer: dft, assistant-only masks, padding (batches are ragged, so there is none to be free of).
 */
import { Tape } from "../autograd/tape";
import { requireRoom } from "../checkpoint/room";
import type { TrainingState } from "../checkpoint/state";
import { collate } from "../data/batch";
import type { DatasetRow } from "../data/jsonl";
import { microBatches } from "../data/micro-batches";
import { DataOrder } from "../data/order";
import { type PackedRow, type PackingStrategy, pack } from "../data/packing";
import { requireVocabulary, type TruncationMode, tokenizeExamples } from "../data/tokenize";
import { nllLoss } from "../losses/nll";
import { batchLogprobs } from "../models/logprobs";
import type { AdamW, StepOutcome } from "../optim/adamw";
import type { Metrics } from "../rl/metrics";
import {
  createOptimizer,
  learningRates,
  OptionChecks,
  resolveTraining,
  stepTime,
  type TrainingOptions,
  type TrainingSettings,
} from "./options";
import { Readback } from "./readback";
import type { TrainingModel } from "./training-model";
import { captureRun, requireCurrent, restoreRun } from "./training-state";

export interface SftOptions extends TrainingOptions {
  /** Trained in place. */
  readonly model: TrainingModel;
  /** Rows with `text`, `messages`, or `prompt` and `completion`. */
  readonly dataset: readonly DatasetRow[];
  /** Name of the text column. Default "text". */
  readonly datasetTextField?: string | undefined;
  /** Loss on completions only. Default: on for rows with a completion. */
  readonly completionOnlyLoss?: boolean | undefined;
  /** Longest row in tokens. Default 1024, or the model's context where that is shorter. */
  readonly maxLength?: number | undefined;
  /** Which end of a row that is too long stays. Default "keep_start". */
  readonly truncationMode?: TruncationMode | undefined;
  /** Fill rows of `maxLength` tokens with several sequences. Default false. */
  readonly packing?: boolean | undefined;
  /** Default "bfd". */
  readonly packingStrategy?: PackingStrategy | undefined;
  /** Continue a run: `model`, `dataset` and options must be those it was started with. */
  readonly resume?: TrainingState | undefined;
}

/** One optimiser step. When it is yielded, weights and optimiser are exactly those after `step` steps. */
export interface SftStep {
  /** From 1. */
  readonly step: number;
  readonly maxSteps: number;
  /** TRL's names: loss, grad_norm, learning_rate, epoch, num_tokens, entropy, mean_token_accuracy; and skipped_steps. */
  readonly metrics: Metrics;
  /** Everything needed to continue after this step; to be called before the next step is asked for. */
  state(): Promise<TrainingState>;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* sft(options: SftOptions): AsyncGenerator<SftStep, void, undefined> {
  const { model } = options;
  const { parameters } = model.decoder;
  const { settings, rows, maxSteps } = prepare(options);
  const { rowsPerStep } = settings;
  const order = new DataOrder(rows.length, settings.seed, settings.shuffleDataset);
  const rateOf = learningRates(settings, maxSteps);
  const optimizer = createOptimizer(parameters, settings);
  const run = { step: 0, numTokens: 0, skippedSteps: 0 };
  try {
    if (options.resume) Object.assign(run, restoreRun(options.resume, "sft", parameters, optimizer));
    while (run.step < maxSteps) {
      settings.signal?.throwIfAborted();
      const started = settings.clock?.();
      const learningRate = rateOf(run.step);
      const taken = order.slice(run.step * rowsPerStep, rowsPerStep).map((i) => rows[i] as PackedRow);
      const update = await updateOn(taken, model, settings, optimizer, learningRate);
      run.step += 1;
      run.numTokens += update.tokens;
      run.skippedSteps += update.skipped ? 1 : 0;
      const { step } = run;
      yield {
        step,
        maxSteps,
        metrics: {
          loss: update.loss,
          grad_norm: update.gradNorm,
          learning_rate: learningRate,
          epoch: (step * rowsPerStep) / rows.length,
          num_tokens: run.numTokens,
          entropy: update.entropy,
          mean_token_accuracy: update.accuracy,
          skipped_steps: run.skippedSteps,
          ...stepTime(settings, started),
        },
        state: () => {
          requireCurrent(step, run.step);
          return captureRun("sft", step, parameters, optimizer, { ...run });
        },
      };
    }
  } finally {
    optimizer.dispose();
    run.step = Number.NaN;
  }
}

interface Update extends StepOutcome {
  readonly loss: number;
  /** Means over the targets. */
  readonly entropy: number;
  readonly accuracy: number;
  /** Tokens in the rows, targets or not. */
  readonly tokens: number;
}

/** One optimiser step on packed rows, in as many micro-batches as the settings ask for. */
async function updateOn(
  rows: readonly PackedRow[],
  { decoder }: TrainingModel,
  settings: TrainingSettings,
  optimizer: AdamW,
  learningRate: number,
): Promise<Update> {
  const lengths = rows.map((row) => row.reduce((sum, s) => sum + s.tokens.length, 0));
  const batches = microBatches(lengths, settings.microBatchRows, settings.microBatchTokens).map((indices) =>
    collate(
      indices.flatMap((i) => rows[i] as PackedRow),
      decoder.config.vocabSize,
    ),
  );
  const targets = batches.reduce((sum, batch) => sum + batch.targets.length, 0);

  // Windows: 0 (norm, coefficient); then of each micro-batch Σ logp, Σ entropy, Σ hit.
  const readback = new Readback(decoder.device, [2, ...batches.flatMap(() => [1, 1, 1])]);
  try {
    decoder.parameters.zeroGrads();
    batches.forEach((batch, i) => {
      const tape = new Tape(decoder.device, { checkpoint: settings.gradientCheckpointing });
      try {
        const { logp, entropy, hit } = batchLogprobs(tape, decoder, batch); // (M)
        [logp, entropy, hit].forEach((values, k) => {
          readback.sum(tape, values, 1 + 3 * i + k);
        });
        tape.backward(nllLoss(tape, logp, 1 / targets));
      } finally {
        tape.dispose();
      }
    });
    optimizer.apply(learningRate);
    readback.copy(optimizer.stats, 0);
    const [stats, ...sums] = (await readback.read()) as [Float32Array, ...Float32Array[]];
    const mean = (k: number) => sums.reduce((sum, window, i) => (i % 3 === k ? sum + (window[0] as number) : sum), 0) / targets;
    return {
      ...optimizer.outcome(stats),
      loss: -mean(0),
      entropy: mean(1),
      accuracy: mean(2),
      tokens: lengths.reduce((sum, length) => sum + length, 0),
    };
  } finally {
    readback.dispose();
  }
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
  requireRoom(decoder.device, decoder.config, 3);

  const { packing = false, dataset, datasetTextField, completionOnlyLoss } = options;
  const cuts = packing && strategy !== "bfd";
  const sequences = tokenizeExamples(dataset, {
    tokenizer,
    datasetTextField,
    completionOnlyLoss,
    truncationMode,
    maxLength: cuts ? undefined : maxLength,
  });
  requireVocabulary(sequences, vocabSize);
  const rows = packing ? pack(sequences, maxLength, strategy) : sequences.map((sequence) => [sequence]);
  const maxSteps = settings.maxSteps ?? Math.ceil((rows.length * settings.numTrainEpochs) / settings.rowsPerStep);
  return { settings, rows, maxSteps };
}
