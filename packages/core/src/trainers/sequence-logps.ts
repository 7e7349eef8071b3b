/** Log-probabilities of whole sequences without gradient: under a reference, or under the policy where a step must know them beforehand. */
import { mul } from "../autograd/elementwise";
import { segmentSum } from "../autograd/segment";
import { collate, type Sequence } from "../data/batch";
import { microBatches } from "../data/micro-batches";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import { forwardOnly } from "./optimiser-step";

/** A sequence whose counting tokens may have factors of their own. */
export interface WeightedSequence extends Sequence {
  /** Default 1 each. (its counting tokens) */
  readonly weights?: Float32Array | undefined;
}

/** How much is computed at once. */
export interface PassLimits {
  readonly rows: number;
  readonly tokens: number;
}

/** Σ weight · log π over the counting tokens of each sequence. (S) One readback. */
export async function sequenceLogps(
  decoder: Decoder,
  sequences: readonly WeightedSequence[],
  { rows, tokens }: PassLimits,
): Promise<Float32Array> {
  const lengths = sequences.map((sequence) => sequence.tokens.length);
  const pieces = microBatches(lengths, rows, tokens).map((indices) => indices.map((i) => sequences[i] as WeightedSequence));
  const reports = await forwardOnly<"logps">(
    decoder.device,
    pieces.map((piece) => ({
      reads: { logps: piece.length },
      forward(tape, report) {
        const batch = collate(piece, decoder.config.vocabSize);
        const { logp } = batchLogprobs(tape, decoder, batch); // (M)
        const weights = targetWeights(piece, batch.targetOffsets);
        const weighed = weights ? mul(tape, logp, tape.constant(weights)) : logp;
        report.copy("logps", segmentSum(tape, weighed, tape.constant(batch.targetOffsets)));
      },
    })),
  );
  return Float32Array.from(reports.flatMap(({ logps }) => [...logps]));
}

/** The factors of a batch's targets (M), or undefined where no sequence has any. */
export function targetWeights(sequences: readonly WeightedSequence[], targetOffsets: Uint32Array): Float32Array | undefined {
  if (!sequences.some(({ weights }) => weights)) return undefined;
  const all = new Float32Array(targetOffsets.at(-1) as number).fill(1);
  sequences.forEach(({ weights }, s) => {
    if (weights) all.set(weights, targetOffsets[s]);
  });
  return all;
}

/** Tokens of a sequence that count: the first never does, for nothing predicts it. */
export function countTargets({ mask }: Sequence): number {
  return mask.subarray(1).reduce((sum, m) => sum + m, 0);
}
