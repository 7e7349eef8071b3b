/** Completions that are each marked good or bad: the dataset's, and an optimiser step on some of them. */
import { segmentSum } from "../autograd/segment";
import type { Tape } from "../autograd/tape";
import { collate } from "../data/batch";
import { convertRows } from "../data/convert";
import { detectFormat } from "../data/detect-format";
import type { DatasetRow } from "../data/jsonl";
import { microBatches } from "../data/micro-batches";
import { weighted } from "../losses/objective";
import type { UnpairedInputs, UnpairedLosses } from "../losses/preference/kto";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import { unpairedMetrics } from "../rl/preference-metrics";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import type { TrainingSettings } from "./options";
import { concatenated } from "./pair-batches";
import type { WeightedSequence } from "./sequence-logps";

/** A completion with its prompt, and whether it is good. */
export interface UnpairedRow {
  readonly sequence: WeightedSequence;
  readonly label: boolean;
}

/** Rows with `prompt`, `completion` and `label`; whatever can become such rows does, preferences for one. Lines of errors are of the result. */
export function unpairedRows(dataset: readonly DatasetRow[]): readonly DatasetRow[] {
  const isUnpaired = dataset.length === 0 || detectFormat(dataset[0] as DatasetRow) === "unpaired";
  return isUnpaired ? dataset : convertRows(dataset, { to: "unpaired" }).rows;
}

/** The loss of some rows of the step, by number. */
export type UnpairedObjective = (tape: Tape, inputs: UnpairedInputs, rows: readonly number[]) => UnpairedLosses;

/** One optimiser step: the mean of `objective` over the rows, whose reference log-probabilities are `refLogps` (S). */
export async function unpairedStep(
  rows: readonly UnpairedRow[],
  refLogps: ArrayLike<number>,
  objective: UnpairedObjective,
  decoder: Decoder,
  settings: TrainingSettings,
  updating: Updating,
) {
  const lengths = rows.map(({ sequence }) => sequence.tokens.length);
  const pieces = microBatches(lengths, settings.microBatchRows, settings.microBatchTokens);
  const { outcome, reports } = await optimiserStep(
    decoder.device,
    [updating],
    pieces.map((taken) => ({
      reads: { loss: 1, rewards: taken.length, logps: taken.length },
      forward(tape, report) {
        const some = taken.map((row) => rows[row] as UnpairedRow);
        const batch = collate(
          some.map(({ sequence }) => sequence),
          decoder.config.vocabSize,
        );
        const logps = segmentSum(tape, batchLogprobs(tape, decoder, batch).logp, tape.constant(batch.targetOffsets)); // (S)
        const inputs = {
          logps,
          refLogps: tape.constant(Float32Array.from(taken, (row) => refLogps[row] as number)),
          signs: tape.constant(Float32Array.from(some, ({ label }) => (label ? 1 : -1))),
        };
        const { losses, rewards } = objective(tape, inputs, taken);
        report.sum("loss", losses);
        report.copy("rewards", rewards);
        report.copy("logps", logps);
        return weighted(tape, losses, 1 / rows.length);
      },
    })),
    settings,
  );
  return {
    skipped: outcome.skipped,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    metrics: {
      loss: total(reports, "loss") / rows.length,
      grad_norm: outcome.gradNorm,
      ...unpairedMetrics({
        rewards: concatenated(reports, "rewards"),
        logps: concatenated(reports, "logps"),
        labels: rows.map(({ label }) => label),
      }),
    },
  };
}
