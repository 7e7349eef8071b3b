/** Log-probabilities of a rollout's counting tokens under a frozen model: old and reference policies. */
import { Tape } from "../autograd/tape";
import { collate } from "../data/batch";
import { microBatches } from "../data/micro-batches";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import { type Rollout, rolloutRow, scatterCounting } from "../rl/rollout";
import { Readback } from "./readback";

/** (N), 0 where a token does not count. One readback for the whole rollout. */
export async function rolloutLogps(
  decoder: Decoder,
  rollout: Rollout,
  settings: { readonly microBatchRows: number; readonly microBatchTokens: number; readonly temperature: number },
): Promise<Float32Array> {
  const values = new Float32Array(rollout.tokens.length);
  const sequences = rollout.ends.map((_, row) => rolloutRow(rollout, row));
  const trained = sequences.flatMap(({ mask }, row) => (mask.includes(1) ? [row] : []));
  const lengths = trained.map((row) => (sequences[row] as { tokens: Uint32Array }).tokens.length);
  const batches = microBatches(lengths, settings.microBatchRows, settings.microBatchTokens).map((indices) => {
    const rows = indices.map((i) => trained[i] as number);
    return {
      rows,
      batch: collate(
        rows.map((row) => rolloutRow(rollout, row)),
        decoder.config.vocabSize,
      ),
    };
  });
  if (batches.length === 0) return values;

  const readback = new Readback(
    decoder.device,
    batches.map(({ batch }) => batch.targets.length),
  );
  try {
    batches.forEach(({ batch }, i) => {
      const tape = new Tape(decoder.device, { grad: false });
      try {
        readback.copy(batchLogprobs(tape, decoder, batch, settings.temperature).logp, i);
      } finally {
        tape.dispose();
      }
    });
    const windows = await readback.read();
    batches.forEach(({ rows }, i) => {
      scatterCounting(rollout, rows, windows[i] as Float32Array, values);
    });
    return values;
  } finally {
    readback.dispose();
  }
}
