/** Texts that a policy goes on learning from while it is reinforced (PPO-ptx), in an order of their own. */
import { type Batch, collate, type Sequence } from "../data/batch";
import type { DatasetRow } from "../data/jsonl";
import { microBatches } from "../data/micro-batches";
import { DataOrder } from "../data/order";
import { requireVocabulary, tokenizeExamples } from "../data/tokenize";
import type { OptionChecks } from "./options";
import type { BatchLimits } from "./rollout-batches";
import type { TrainingModel } from "./training-model";

export interface PretrainingOptions {
  /** Rows with `text`, `messages`, or `prompt` and `completion`, mixed into every step. Default: none. */
  readonly ptxDataset?: readonly DatasetRow[] | undefined;
  /** Weight of their mean negative log-likelihood per token. InstructGPT, whose reduction is unpublished: 27.8. Default 1. */
  readonly ptxCoef?: number | undefined;
  /** Rows per optimiser step. Default: as many as completions; InstructGPT has 8 times as many. */
  readonly ptxBatchSize?: number | undefined;
}

export interface PretrainingSettings {
  readonly coefficient: number;
  readonly rowsPerStep: number;
}

/** One optimiser step's texts. */
export interface PretrainingBatches {
  readonly batches: readonly Batch[];
  readonly coefficient: number;
  /** Of every target's negative log-likelihood: coefficient / targets. */
  readonly weight: number;
}

/** Notes in `checks` what is wrong; undefined without a dataset. */
export function resolvePretraining(
  options: PretrainingOptions,
  { rowsPerStep }: { readonly rowsPerStep: number },
  checks: OptionChecks,
): PretrainingSettings | undefined {
  const coefficient = checks.number("ptxCoef", options.ptxCoef ?? 1, 0, undefined, true);
  const rows = checks.count("ptxBatchSize", options.ptxBatchSize ?? rowsPerStep);
  return options.ptxDataset && { coefficient, rowsPerStep: rows };
}

/**
 * Encodes the texts, cut to the model's context, and gives each step its own: rows [step · n, (step + 1) · n) of the shuffled order, so that a resumed run
 * needs to know its step alone. Throws DataError for the first bad row.
 */
export function pretrainingMix(
  dataset: readonly DatasetRow[],
  { coefficient, rowsPerStep }: PretrainingSettings,
  { decoder, tokenizer }: TrainingModel,
  settings: BatchLimits & { readonly seed: number; readonly shuffleDataset: boolean },
): (step: number) => PretrainingBatches {
  const { maxPositions, vocabSize } = decoder.config;
  const sequences = tokenizeExamples(dataset, { tokenizer, maxLength: maxPositions });
  requireVocabulary(sequences, vocabSize);
  const order = new DataOrder(sequences.length, settings.seed, settings.shuffleDataset);
  return (step) => {
    const taken = order.slice(step * rowsPerStep, rowsPerStep).map((i) => sequences[i] as Sequence);
    const lengths = taken.map(({ tokens }) => tokens.length);
    const batches = microBatches(lengths, settings.microBatchRows, settings.microBatchTokens).map((indices) =>
      collate(
        indices.map((i) => taken[i] as Sequence),
        vocabSize,
      ),
    );
    return { batches, coefficient, weight: coefficient / batches.reduce((sum, { targets }) => sum + targets.length, 0) };
  };
}
