/**
 * Kahneman-Tversky optimisation (Ethayarajh et al. 2024) and APO-zero without pairs: learning from completions marked good or bad.
 *
 *   loss = mean over the step's rows of w σ(∓β (log π - log π_ref - z)),   z = max(0, mean of log π - log π_ref over mismatched completions)
 *
 * Left out of TRL's KTOTrainer: `logits/*` metrics (logits are never formed), dropout. Departures: a prompt's mismatched completion is that
 * of the next row with another prompt, where TRL takes the next row of the micro-batch; and z belongs to the whole optimiser step.
 */
import { DataOrder } from "../data/order";
import { requireVocabulary } from "../data/tokenize";
import { type TokenizedUnpaired, tokenizeUnpaired } from "../data/tokenize-feedback";
import { hasTarget, joinCompletion, truncate } from "../data/truncation";
import { DataError } from "../errors";
import { ktoBaseline, ktoLoss } from "../losses/preference/kto";
import { type FeedbackOptions, requireFeedbackRoom, resolveLengths, stepCount } from "./feedback-options";
import { createOptimizer, OptionChecks, resolveTraining, type TrainingSettings } from "./options";
import { openReferenceLogps, type ReferenceLogpsOptions, type ReferenceLogpsSettings, resolveReferenceLogps } from "./reference-logps";
import { sequenceLogps, type WeightedSequence } from "./sequence-logps";
import { type TrainingStep, trainingSteps } from "./training-steps";
import { type UnpairedRow, unpairedRows, unpairedStep } from "./unpaired-step";

/** kto: with the baseline z; apo_zero_unpaired: without. */
export type KtoLossType = "kto" | "apo_zero_unpaired";

/** `dataset` holds `prompt`, `completion` and `label` (true: good), or preferences, which become two rows each. */
export interface KtoOptions extends FeedbackOptions, ReferenceLogpsOptions {
  /** Default "kto". */
  readonly lossType?: KtoLossType | undefined;
  /** Strength of the pull to the reference. Default 0.1. */
  readonly beta?: number | undefined;
  /** Weight of good completions. Default 1. The paper: (desirableWeight · good) / (undesirableWeight · bad) between 1 and 4/3. */
  readonly desirableWeight?: number | undefined;
  /** Default 1. */
  readonly undesirableWeight?: number | undefined;
}

/** One optimiser step; metrics under TRL's names, see docs/algorithms/kto.md. */
export type KtoStep = TrainingStep;

interface KtoRow extends UnpairedRow {
  /** The row's prompt with another row's completion; undefined where the loss has no baseline. */
  readonly mismatched: WeightedSequence | undefined;
}

interface KtoSettings extends TrainingSettings, ReferenceLogpsSettings {
  readonly beta: number;
  readonly desirableWeight: number;
  readonly undesirableWeight: number;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* kto(options: KtoOptions): AsyncGenerator<KtoStep, void, undefined> {
  const { decoder } = options.model;
  const { settings, rows, maxSteps } = prepare(options);
  const limits = { rows: settings.microBatchRows, tokens: settings.microBatchTokens };
  const order = new DataOrder(rows.length, settings.seed, settings.shuffleDataset);
  const sequences = rows.map(({ sequence, mismatched }) => (mismatched ? [sequence, mismatched] : [sequence]));
  const reference = await openReferenceLogps(decoder, sequences, settings, limits);
  const optimizer = createOptimizer(decoder.trainable, settings);
  try {
    yield* trainingSteps({
      algorithm: "kto",
      settings,
      maxSteps,
      models: { model: { parameters: decoder.trainable, optimizer }, others: reference.others },
      resume: options.resume,
      async take(step, learningRate) {
        const indices = order.slice(step * settings.rowsPerStep, settings.rowsPerStep);
        const taken = indices.map((i) => rows[i] as KtoRow);
        const refs = await reference.of(indices);
        const mismatched = taken.flatMap((row) => row.mismatched ?? []);
        const width = mismatched.length > 0 ? 2 : 1;
        const baseline =
          width === 2
            ? ktoBaseline(
                await sequenceLogps(decoder, mismatched, limits),
                refs.filter((_, i) => i % 2 === 1),
              )
            : 0;
        const { metrics, ...update } = await unpairedStep(
          taken,
          refs.filter((_, i) => i % width === 0),
          (tape, inputs) => ktoLoss(tape, inputs, { ...settings, baseline }),
          decoder,
          settings,
          { optimizer, learningRate },
        );
        reference.follow(step + 1);
        return { ...update, metrics: { ...metrics, kl: baseline }, epoch: ((step + 1) * settings.rowsPerStep) / rows.length };
      },
    });
  } finally {
    reference.dispose();
    optimizer.dispose();
  }
}

/** Checks the options, all at once, and then the dataset, row by row. */
function prepare(options: KtoOptions): { settings: KtoSettings; rows: KtoRow[]; maxSteps: number } {
  const { tokenizer, decoder } = options.model;
  const checks = new OptionChecks();
  const training = resolveTraining(options, { learningRate: 1e-6 }, checks);
  const lengths = resolveLengths(options, decoder, checks);
  const reference = resolveReferenceLogps(options, decoder, checks);
  const lossType = checks.choice("lossType", options.lossType ?? "kto", ["kto", "apo_zero_unpaired"]);
  const settings: KtoSettings = {
    ...training,
    ...reference,
    beta: checks.number("beta", options.beta ?? 0.1, 0, undefined, true),
    desirableWeight: checks.number("desirableWeight", options.desirableWeight ?? 1, 0),
    undesirableWeight: checks.number("undesirableWeight", options.undesirableWeight ?? 1, 0),
  };
  checks.throwIfAny("kto");
  requireFeedbackRoom(decoder, !reference.precomputeRefLogProbs && reference.referenceModel.isCopied);

  const { examples } = tokenizeUnpaired(unpairedRows(options.dataset), { tokenizer, ...lengths });
  requireVocabulary(
    examples.map(({ sequence, line }) => ({ ...sequence, line })),
    decoder.config.vocabSize,
  );
  const mismatched = lossType === "kto" ? mismatchedCompletions(examples) : undefined;
  const rows = examples.map(({ sequence, label, prompt }, i) => {
    if (!mismatched) return { sequence, label, mismatched: undefined };
    const whole = joinCompletion(prompt, mismatched[i] as Uint32Array);
    const cut = truncate(whole, lengths.maxLength, lengths.truncationMode);
    // A prompt that fills maxLength leaves no room: the end is kept then.
    return { sequence, label, mismatched: hasTarget(cut) ? cut : truncate(whole, lengths.maxLength, "keep_end") };
  });
  return { settings, rows, maxSteps: stepCount(training, rows.length) };
}

/** For each row the completion of the next row with another prompt. */
function mismatchedCompletions(examples: readonly TokenizedUnpaired[]): Uint32Array[] {
  const prompts = examples.map(({ prompt }) => prompt.join());
  return examples.map((_, i) => {
    for (let away = 1; away < examples.length; away++) {
      const other = (i + away) % examples.length;
      if (prompts[other] !== prompts[i]) return (examples[other] as TokenizedUnpaired).completion;
    }
    throw new DataError(
      'kto: the dataset must have two different prompts, to estimate the KL from mismatched completions, got one. Use lossType "apo_zero_unpaired".',
    );
  });
}
