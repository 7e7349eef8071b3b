/** Reference of sampling: mask and logits processors one by one, then the inverse of the cumulative distribution. */
import { sample } from "../ops/sample";
import { logSumExp } from "./attention";
import { implement } from "./implement";
import { uniform } from "./threefry";

/** What {@link processLogits} applies; 1, 0, 1, 0 and 1 switch temperature, top-k, top-p, min-p and penalty off. */
export interface SamplingOptions {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
}

/**
 * Logits (V) after repetition penalty, temperature, top-k, top-p and min-p; -Infinity marks a removed token.
 *  - top-k keeps a token iff fewer than k logits are strictly greater;
 *  - top-p keeps it iff the total probability (renormalised after top-k) of strictly more likely tokens is < top_p;
 *  - min-p keeps it iff its probability is at least min_p times the largest.
 * The most likely tokens are always kept, and equal logits are kept or removed together.
 */
export function processLogits(logits: ArrayLike<number>, isSeen: (token: number) => boolean, options: SamplingOptions): number[] {
  const { temperature, topK, topP, minP, repetitionPenalty } = options;
  let z = Array.from(logits, (logit, j) => (isSeen(j) ? (logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty) : logit));
  z = z.map((logit) => logit / temperature);
  const keepOnly = (isKept: (logit: number) => boolean) => {
    z = z.map((logit) => (isKept(logit) ? logit : Number.NEGATIVE_INFINITY));
  };
  const max = z.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (topK > 0 && topK < z.length) {
    const kthLargest = z.toSorted((a, b) => b - a)[topK - 1]!;
    keepOnly((logit) => logit >= kthLargest);
  }
  if (topP < 1) {
    const lse = logSumExp(z);
    let moreLikely = 0;
    let threshold = max;
    const sorted = z.toSorted((a, b) => b - a);
    for (let i = 0; i < sorted.length && sorted[i]! > Number.NEGATIVE_INFINITY; ) {
      const value = sorted[i]!;
      if (value !== max && moreLikely >= topP) break;
      threshold = value;
      for (; i < sorted.length && sorted[i] === value; i++) moreLikely += Math.exp(value - lse);
    }
    keepOnly((logit) => logit >= threshold);
  }
  if (minP > 0) keepOnly((logit) => logit === max || Math.exp(logit - max) >= minP);
  return z;
}

/** The lowest index of the largest logit. */
function argmax(logits: ArrayLike<number>): number {
  let best = 0;
  for (let j = 1; j < logits.length; j++) if (logits[j]! > logits[best]!) best = j;
  return best;
}

/** The first kept token at which the cumulative weight exceeds `u` times the total. */
function inverseCdf(logits: readonly number[], u: number): number {
  const lse = logSumExp(logits);
  let cumulative = 0;
  let last = 0;
  for (let j = 0; j < logits.length; j++) {
    if (logits[j] === Number.NEGATIVE_INFINITY) continue;
    last = j;
    cumulative += Math.exp(logits[j]! - lse);
    if (cumulative > u) return j;
  }
  return last;
}

const isMarked = (words: Float64Array, row: number, W: number, token: number): boolean =>
  ((words[row * W + (token >>> 5)]! >>> (token & 31)) & 1) === 1;

export const sampleReference = [
  implement<"logits" | "settings" | "keys" | "positions" | "tokens" | "logp", "N" | "V" | "W", "allowed" | "seen">(
    sample.forward,
    ({ logits, settings, keys, positions, allowed, seen, tokens, logp }, { N, V, W }) => {
      for (let n = 0; n < N; n++) {
        const row = logits.subarray(n * V, (n + 1) * V);
        const [temperature, topK, topP, minP, repetitionPenalty] = settings.subarray(5 * n) as unknown as [
          number,
          number,
          number,
          number,
          number,
        ];
        const [seedLo, seedHi, stream] = keys.subarray(3 * n) as unknown as [number, number, number];
        const isGreedy = temperature === 0;
        const masked = allowed ? row.map((logit, j) => (isMarked(allowed, n, W, j) ? logit : Number.NEGATIVE_INFINITY)) : row;
        const processed = processLogits(masked, (j) => seen !== undefined && isMarked(seen, n, W, j), {
          temperature: isGreedy ? 1 : temperature,
          topK: isGreedy ? 0 : topK,
          topP: isGreedy ? 1 : topP,
          minP: isGreedy ? 0 : minP,
          repetitionPenalty,
        });
        const u = uniform([seedLo, seedHi], [stream, positions[n]!]);
        const token = isGreedy ? argmax(processed) : inverseCdf(processed, u);
        const untouched = Array.from(row, (logit) => logit / (isGreedy ? 1 : temperature));
        tokens[n] = token;
        logp[n] = untouched[token]! - logSumExp(untouched);
        if (seen) seen[n * W + (token >>> 5)] = (seen[n * W + (token >>> 5)]! | (1 << (token & 31))) >>> 0;
      }
    },
  ),
];
