/**
 * Generalised knowledge distillation (Agarwal et al. 2024): a student learns a teacher's whole distribution at every token, on the
 * dataset's completions, on the teacher's, or on the student's own.
 *
 *   loss = Σ_t JSD_β(teacher ‖ student)_t / (completion tokens of the whole optimiser step)
 *   JSD_β = β KL(teacher ‖ m) + (1 - β) KL(student ‖ m),   m = β teacher + (1 - β) student
 *   β = 0: KL(teacher ‖ student),   β = 1: KL(student ‖ teacher);   both at `temperature`, exact over the vocabulary (autograd/vocab-pair.ts)
 *
 * Matches TRL's GKDTrainer. Departures: whether a batch is the student's own is drawn once an optimiser step, not once a micro-batch, so that
 * a step does not depend on how it is split; samples end at their EOS token instead of being padded.
 */
import { seedWords, uniform } from "@trimtab/kernels";
import { gatherRows, rowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import { vocabPair } from "../autograd/vocab-pair";
import { requireTrainingRoom } from "../checkpoint/room";
import { type Batch, collate, type Sequence } from "../data/batch";
import type { DatasetRow } from "../data/jsonl";
import { microBatches } from "../data/micro-batches";
import { DataOrder } from "../data/order";
import { requireVocabulary, tokenizeExamples } from "../data/tokenize";
import { joinCompletion } from "../data/truncation";
import { DataError } from "../errors";
import { generate } from "../generate/generate";
import type { GenerationModel } from "../generate/options";
import { weighted } from "../losses/objective";
import type { Decoder } from "../models/decoder";
import { inPhase } from "../profile/profiled-device";
import type { Tensor } from "../tensor/tensor";
import { frozenPass } from "./frozen-pass";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import { createOptimizer, OptionChecks, resolveTraining, type TrainingOptions, type TrainingSettings } from "./options";
import type { TrainingModel } from "./training-model";
import { type TrainingStep, trainingSteps } from "./training-steps";

export interface GkdOptions extends TrainingOptions {
  /** The student; trained in place. */
  readonly model: TrainingModel;
  /** A frozen model with the student's vocabulary, on its device. */
  readonly teacher: Pick<TrainingModel, "decoder" | "generationConfig">;
  /** Rows with `prompt` and `completion`. */
  readonly dataset: readonly DatasetRow[];
  /** Divides the logits of both, in sampling and in the loss. Default 0.9. */
  readonly temperature?: number | undefined;
  /** Probability that a step learns from the student's own completions of its prompts. Default 0.5. */
  readonly lmbda?: number | undefined;
  /** Which divergence: 0 forward KL, 1 reverse KL, between them the generalised Jensen-Shannon divergence. Default 0.5. */
  readonly beta?: number | undefined;
  /** Where the student's are not, learn from the teacher's completions instead of the dataset's. Default false. */
  readonly seqKd?: boolean | undefined;
  /** Most tokens of a sampled completion; the models' contexts end it too. Default 128. */
  readonly maxNewTokens?: number | undefined;
  /** Longest row of the dataset in tokens; of a longer one the start stays. Default 1024, or the shorter context of the models where that is less. */
  readonly maxLength?: number | undefined;
}

/** Whose completions a step was taken on. */
export type GkdSource = "dataset" | "teacher" | "student";

/** One optimiser step; metrics loss, grad_norm, on_policy (1 on the student's own completions, else 0) and those of every trainer. */
export interface GkdStep extends TrainingStep {
  readonly source: GkdSource;
}

interface GkdSettings extends TrainingSettings {
  readonly temperature: number;
  readonly lmbda: number;
  readonly beta: number;
  readonly seqKd: boolean;
  readonly maxNewTokens: number;
  /** Tokens that fit both models. */
  readonly context: number;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* gkd(options: GkdOptions): AsyncGenerator<GkdStep, void, undefined> {
  const { model, teacher } = options;
  const { decoder } = model;
  const { settings, rows, maxSteps } = prepare(options);
  const order = new DataOrder(rows.length, settings.seed, settings.shuffleDataset);
  const optimizer = createOptimizer(decoder.trainable, settings);
  try {
    yield* trainingSteps({
      algorithm: "gkd",
      settings,
      maxSteps,
      models: { model: { parameters: decoder.trainable, optimizer } },
      resume: options.resume,
      async take(step, learningRate) {
        const position = step * settings.rowsPerStep;
        const taken = order.slice(position, settings.rowsPerStep).map((i) => rows[i] as Sequence);
        const source = sourceOf(step, settings);
        const sampler = { student: model, teacher, dataset: undefined }[source];
        const sequences = sampler ? await sampled(sampler, taken, position, settings) : taken;
        const update = await updateOn(sequences, decoder, teacher.decoder, settings, { optimizer, learningRate });
        const metrics = { ...update.metrics, on_policy: source === "student" ? 1 : 0 };
        return { ...update, metrics, source, epoch: (position + settings.rowsPerStep) / rows.length };
      },
    });
  } finally {
    optimizer.dispose();
  }
}

/** Sampling and the choice of a source draw from keys of their own, apart from initialisation and shuffling. */
const SAMPLING_KEY = 0x5a3d1e77;
const SOURCE_KEY = 0x2c9b6f41;

/** The step alone decides, so that a resumed run goes on as it would have. */
function sourceOf(step: number, { seed, lmbda, seqKd }: GkdSettings): GkdSource {
  const [lo, hi] = seedWords(seed);
  if (uniform([lo, hi ^ SOURCE_KEY], 0, step) < lmbda) return "student";
  return seqKd ? "teacher" : "dataset";
}

/** Completions by `model` of the prompts of `rows`; `position` is that of the first row in the data order. */
async function sampled(
  model: Omit<GenerationModel, "tokenizer">,
  rows: readonly Sequence[],
  position: number,
  { seed, temperature, maxNewTokens, context, signal }: GkdSettings,
): Promise<Sequence[]> {
  const prompts = rows.map(({ tokens, mask }) => tokens.slice(0, mask.indexOf(1)));
  const [lo, hi] = seedWords(seed);
  const completions = await inPhase(model.decoder.device, "rollout", () =>
    generate({
      model: { decoder: model.decoder, generationConfig: model.generationConfig },
      prompts,
      maxNewTokens: prompts.map(({ length }) => Math.min(maxNewTokens, context - length)),
      temperature,
      seed: [lo, (hi ^ SAMPLING_KEY) >>> 0],
      streams: Uint32Array.from(prompts, (_, i) => position + i),
      signal,
    }),
  );
  return completions.map(({ promptTokens, tokens }) => joinCompletion(promptTokens, tokens));
}

/** One optimiser step, in as many micro-batches as the settings ask for. */
async function updateOn(
  sequences: readonly Sequence[],
  student: Decoder,
  teacher: Decoder,
  { temperature, beta, ...settings }: GkdSettings,
  updating: Updating,
) {
  const lengths = sequences.map(({ tokens }) => tokens.length);
  const batches = microBatches(lengths, settings.microBatchRows, settings.microBatchTokens).map((indices) =>
    collate(
      indices.map((i) => sequences[i] as Sequence),
      student.config.vocabSize,
    ),
  );
  const targets = batches.reduce((sum, batch) => sum + batch.targets.length, 0);
  const { outcome, reports } = await optimiserStep(
    student.device,
    [updating],
    batches.map((batch) => ({
      reads: { loss: 1 },
      forward(tape, report) {
        const losses = vocabPair(tape, {
          learning: { hidden: predicting(tape, student, batch), head: student.head, temperature },
          fixed: { hidden: frozenPass(tape, (pass) => predicting(pass, teacher, batch)), head: teacher.head, temperature },
          beta,
        }); // (M)
        report.sum("loss", losses);
        return weighted(tape, losses, 1 / targets);
      },
    })),
    settings,
  );
  return {
    skipped: outcome.skipped,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    metrics: { loss: total(reports, "loss") / targets, grad_norm: outcome.gradNorm },
  };
}

/** Hidden states (M, C) of the rows that predict a target. */
function predicting(tape: Tape, model: Decoder, batch: Batch): Tensor {
  return gatherRows(tape, model.forward(tape, batch), rowIndex(tape, batch.predictors));
}

/** Checks the options, all at once, and then the dataset, row by row. */
function prepare(options: GkdOptions): { settings: GkdSettings; rows: Sequence[]; maxSteps: number } {
  const { tokenizer, decoder } = options.model;
  const { decoder: teacher } = options.teacher;
  const { vocabSize } = decoder.config;
  const checks = new OptionChecks();
  const training = resolveTraining(options, { learningRate: 2e-5 }, checks);
  const teacherSize = teacher.config.vocabSize;
  checks.check("teacher", teacherSize, teacherSize === vocabSize, `a model with the student's vocabulary size ${vocabSize}`);
  checks.check("teacher", "another device", teacher.device === decoder.device, "a model on the student's device");
  const context = Math.min(decoder.config.maxPositions, teacher.config.maxPositions);
  const maxLength = checks.count("maxLength", options.maxLength ?? Math.min(1024, context), 2);
  checks.check("maxLength", maxLength, maxLength <= context, `at most the shorter context of student and teacher, ${context} tokens`);
  const settings = {
    ...training,
    temperature: checks.number("temperature", options.temperature ?? 0.9, 0, undefined, true),
    lmbda: checks.number("lmbda", options.lmbda ?? 0.5, 0, 1),
    beta: checks.number("beta", options.beta ?? 0.5, 0, 1),
    seqKd: options.seqKd ?? false,
    maxNewTokens: checks.count("maxNewTokens", options.maxNewTokens ?? 128),
    context,
  };
  checks.throwIfAny("gkd");
  requireTrainingRoom(decoder, 3);

  const rows = tokenizeExamples(options.dataset, { tokenizer, completionOnlyLoss: true, maxLength });
  requireVocabulary(rows, vocabSize);
  const line = rows.findIndex(({ mask }) => mask[0] === 1) + 1;
  if (line > 0) {
    throw new DataError(`dataset line ${line}: \`prompt\` must have a token to sample from, got none. Write one.`, {
      line,
      field: "prompt",
    });
  }
  const maxSteps = training.maxSteps ?? Math.ceil((rows.length * training.numTrainEpochs) / training.rowsPerStep);
  return { settings, rows, maxSteps };
}
