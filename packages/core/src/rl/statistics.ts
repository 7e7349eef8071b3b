/** Statistics for verdicts: a paired bootstrap interval, and how varied a set of texts is. */
import { ArgumentError, randomInt } from "@trimtab/kernels";
import { mean } from "./mean";

export interface BootstrapOptions {
  readonly seed?: number;
  /** Default 10000. */
  readonly resamples?: number;
  /** Default 0.95. */
  readonly confidence?: number;
}

export interface PairedDifference {
  /** Mean of after - before. */
  readonly mean: number;
  /** Percentile interval of the mean difference. */
  readonly low: number;
  readonly high: number;
  readonly meanBefore: number;
  readonly meanAfter: number;
  /** Sample standard deviation of `before`: the yardstick of an effect's size. */
  readonly stdBefore: number;
}

/** Streams of the bootstrap, apart from those of training. */
const BOOTSTRAP_STREAM = 0xb0070000;

/**
 * Mean of the paired differences with a percentile bootstrap interval (Efron 1979): pairs are drawn with replacement, so what
 * the two sides share cancels. The same seed gives the same interval everywhere.
 */
export function pairedBootstrap(before: ArrayLike<number>, after: ArrayLike<number>, options: BootstrapOptions = {}): PairedDifference {
  const { seed = 0, resamples = 10_000, confidence = 0.95 } = options;
  const n = before.length;
  if (n < 2 || after.length !== n) {
    throw new ArgumentError(
      `pairedBootstrap: both sides must have the same number of values, at least 2, got ${n} and ${after.length}. Pass pairs.`,
    );
  }
  if (!(Number.isInteger(resamples) && resamples >= 100 && confidence > 0 && confidence < 1)) {
    throw new ArgumentError(
      `pairedBootstrap: resamples must be at least 100 and confidence between 0 and 1, got ${resamples} and ${confidence}. Correct them.`,
    );
  }
  const differences = Float64Array.from(before, (value, i) => (after[i] as number) - value);
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += differences[randomInt(n, seed, BOOTSTRAP_STREAM + r, i)] as number;
    means[r] = sum / n;
  }
  means.sort();
  const at = (q: number) => means[Math.min(resamples - 1, Math.floor(q * resamples))] as number;
  const tail = (1 - confidence) / 2;
  const meanBefore = mean(before);
  const squares = Array.from(before, (value) => (value - meanBefore) * (value - meanBefore));
  return {
    mean: mean(differences),
    low: at(tail),
    high: at(1 - tail),
    meanBefore,
    meanAfter: mean(after),
    stdBefore: Math.sqrt(squares.reduce((a, b) => a + b, 0) / (n - 1)),
  };
}

/** Distinct n-grams divided by all n-grams of several lists (Li et al. 2016); 0 where there is none. Items are words or token ids. */
export function distinctN(texts: readonly ArrayLike<string | number>[], n: number): number {
  const seen = new Set<string>();
  let total = 0;
  for (const items of texts) {
    for (let i = 0; i + n <= items.length; i++) {
      seen.add(JSON.stringify(Array.from({ length: n }, (_, k) => items[i + k])));
      total++;
    }
  }
  return total === 0 ? 0 : seen.size / total;
}
