/** Pairs of completions as micro-batches: the chosen ones of some pairs, then their rejected ones; and what is read back of them. */
import type { Tape } from "../autograd/tape";
import { type Batch, collate, type Sequence } from "../data/batch";
import type { DatasetRow } from "../data/jsonl";
import { microBatches } from "../data/micro-batches";
import { requireVocabulary } from "../data/tokenize";
import { tokenizePreferences } from "../data/tokenize-feedback";
import type { TruncationMode } from "../data/truncation";
import type { PreferenceLosses } from "../losses/preference/dpo";
import { inverseLengths, type PairValues } from "../losses/preference/pair-logps";
import type { Decoder } from "../models/decoder";
import type { Metrics } from "../rl/metrics";
import { pairMetrics } from "../rl/preference-metrics";
import type { Tensor } from "../tensor/tensor";
import type { Tokenizer } from "../tokenizer/tokenizer";
import type { Report, Reported } from "./optimiser-step";
import { countTargets, targetWeights, type WeightedSequence } from "./sequence-logps";

export interface Pair {
  readonly chosen: WeightedSequence;
  readonly rejected: WeightedSequence;
}

/** The pairs of a dataset of preferences. Throws DataError with the line of a row that is malformed or not of the model's vocabulary. */
export function readPairs(
  dataset: readonly DatasetRow[],
  tokenizer: Tokenizer,
  { config: { vocabSize } }: Decoder,
  lengths: { readonly maxLength: number; readonly truncationMode: TruncationMode },
): readonly Pair[] {
  const { examples } = tokenizePreferences(dataset, { tokenizer, ...lengths });
  for (const side of ["chosen", "rejected"] as const)
    requireVocabulary(
      examples.map((example) => ({ ...example[side], line: example.line })),
      vocabSize,
    );
  return examples;
}

export interface PairBatch {
  /** Which of the step's pairs. (P) */
  readonly rows: readonly number[];
  /** 2P sequences. */
  readonly batch: Batch;
  /** Counting tokens of each. (2P) */
  readonly lengths: readonly number[];
  /** Factors of the targets; undefined: 1 each. (M) */
  readonly weights: Float32Array | undefined;
}

/** Cuts the pairs of a step into micro-batches of at most `microBatchRows` pairs. */
export function pairBatches(
  pairs: readonly Pair[],
  vocabSize: number,
  { microBatchRows, microBatchTokens }: { readonly microBatchRows: number; readonly microBatchTokens: number },
): PairBatch[] {
  return microBatches(pairs.map(pairLength), microBatchRows, microBatchTokens).map((rows) => {
    const taken = rows.map((row) => pairs[row] as Pair);
    const sequences = [...taken.map(({ chosen }) => chosen), ...taken.map(({ rejected }) => rejected)];
    const batch = collate(sequences, vocabSize);
    return { rows, batch, lengths: sequences.map(countTargets), weights: targetWeights(sequences, batch.targetOffsets) };
  });
}

/** Tokens of both completions with their prompts. */
export const pairLength = ({ chosen, rejected }: Pair): number => chosen.tokens.length + rejected.tokens.length;

/** Σ over sequences of the tokens that count. */
export function targetsOf(sequences: readonly Sequence[]): number {
  return sequences.reduce((sum, sequence) => sum + countTargets(sequence), 0);
}

/** The constants that make sums of log-probabilities averages, (P) each, from the counting tokens of 2P completions. */
export function inverseLengthTensors(
  tape: Tape,
  lengths: readonly number[],
): { readonly chosenInverseLengths: Tensor; readonly rejectedInverseLengths: Tensor } {
  const { chosen, rejected } = inverseLengths(lengths);
  return { chosenInverseLengths: tape.constant(chosen), rejectedInverseLengths: tape.constant(rejected) };
}

/** What every pairwise trainer reads back of a micro-batch. */
type PairRead = "loss" | "chosenRewards" | "rejectedRewards" | "chosenLogps" | "rejectedLogps";

export const pairReads = (pairs: number): Record<PairRead, number> => ({
  loss: 1,
  chosenRewards: pairs,
  rejectedRewards: pairs,
  chosenLogps: pairs,
  rejectedLogps: pairs,
});

/** Writes it. `logps` are the policy's log-probabilities of the completions. */
export function reportPairs(
  report: Report<PairRead>,
  { losses, chosenRewards, rejectedRewards }: PreferenceLosses,
  logps: PairValues,
): void {
  report.sum("loss", losses);
  report.copy("chosenRewards", chosenRewards);
  report.copy("rejectedRewards", rejectedRewards);
  report.copy("chosenLogps", logps.chosen);
  report.copy("rejectedLogps", logps.rejected);
}

/** `rewards/*` and `logps/*` of a step. */
export function reportedPairMetrics(reports: readonly Reported<PairRead>[]): Metrics {
  return pairMetrics({
    chosenRewards: concatenated(reports, "chosenRewards"),
    rejectedRewards: concatenated(reports, "rejectedRewards"),
    chosenLogps: concatenated(reports, "chosenLogps"),
    rejectedLogps: concatenated(reports, "rejectedLogps"),
  });
}

/** What all micro-batches reported under a name, one after another. */
export function concatenated<Name extends string>(reports: readonly Reported<Name>[], name: Name): number[] {
  return reports.flatMap((report) => [...report[name]]);
}
