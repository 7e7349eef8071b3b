/** Rows of a rollout as micro-batches, and what a frozen model says of every counting token. */
import type { Tape } from "../autograd/tape";
import { type Batch, collate } from "../data/batch";
import { microBatches } from "../data/micro-batches";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import { countingTokens, type Rollout, rolloutRow, scatterCounting } from "../rl/rollout";
import type { Tensor } from "../tensor/tensor";
import { forwardOnly } from "./optimiser-step";

/** How a step is split. */
export interface BatchLimits {
  readonly microBatchRows: number;
  readonly microBatchTokens: number;
}

/** Some rows of a rollout that fit the device together. */
export interface RolloutBatch {
  /** Indices into the rollout. */
  readonly rows: readonly number[];
  /** Their counting tokens are its targets. */
  readonly batch: Batch;
}

/** Splits `rows` of a rollout, without those where nothing counts. */
export function rolloutBatches(rollout: Rollout, rows: readonly number[], vocabSize: number, limits: BatchLimits): RolloutBatch[] {
  const counting = rows.filter((row) => countingTokens(rollout, row) > 0);
  const lengths = counting.map((row) => rolloutRow(rollout, row).tokens.length);
  return microBatches(lengths, limits.microBatchRows, limits.microBatchTokens).map((indices) => {
    const taken = indices.map((i) => counting[i] as number);
    const sequences = taken.map((row) => rolloutRow(rollout, row));
    return { rows: taken, batch: collate(sequences, vocabSize) };
  });
}

/**
 * Values of every counting token of a whole rollout from forward passes without gradient: `values` makes tensors (M) of a micro-batch's
 * targets. Each result is (N), 0 where a token does not count. One readback.
 */
export async function perToken<Name extends string>(
  decoder: Decoder,
  rollout: Rollout,
  limits: BatchLimits,
  names: readonly Name[],
  values: (tape: Tape, batch: Batch) => Readonly<Record<Name, Tensor>>,
): Promise<Record<Name, Float32Array>> {
  const rows = rollout.ends.map((_, row) => row);
  const batches = rolloutBatches(rollout, rows, decoder.config.vocabSize, limits);
  const results = Object.fromEntries(names.map((name) => [name, new Float32Array(rollout.tokens.length)])) as Record<Name, Float32Array>;
  if (batches.length === 0) return results;
  const reports = await forwardOnly<Name>(
    decoder.device,
    batches.map(({ batch }) => ({
      reads: Object.fromEntries(names.map((name) => [name, batch.targets.length])) as Record<Name, number>,
      forward(tape, report) {
        const made = values(tape, batch);
        for (const name of names) report.copy(name, made[name]);
      },
    })),
  );
  batches.forEach((taken, i) => {
    for (const name of names) scatterCounting(rollout, taken.rows, (reports[i] as Record<Name, Float32Array>)[name], results[name]);
  });
  return results;
}

/** log π of every counting token under a frozen model: old and reference policies. (N) */
export async function rolloutLogps(
  decoder: Decoder,
  rollout: Rollout,
  settings: BatchLimits & { readonly temperature: number },
): Promise<Float32Array> {
  const { logp } = await perToken(decoder, rollout, settings, ["logp"], (tape, batch) =>
    batchLogprobs(tape, decoder, batch, settings.temperature),
  );
  return logp;
}
