/** Means and rates with their intervals. */
import { type BootstrapOptions, pairedBootstrap } from "../rl/statistics";

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** The mean of one value per prompt with a percentile bootstrap interval over prompts; one value alone is its own interval. */
export function bootstrapMean(values: readonly number[], options: BootstrapOptions = {}): Interval {
  const [only = Number.NaN] = values;
  if (values.length < 2) return { mean: only, low: only, high: only };
  const { mean, low, high } = pairedBootstrap(new Float64Array(values.length), values, options);
  return { mean, low, high };
}

/** The 97.5 % point of the normal distribution. */
const Z = 1.959963984540054;

/** Wilson's 95 % score interval (1927) of a rate over n trials: it stays within 0 and 1, and is not empty at their ends. */
export function wilsonInterval(rate: number, n: number): Interval {
  const square = (Z * Z) / n;
  const centre = (rate + square / 2) / (1 + square);
  const half = (Z * Math.sqrt((rate * (1 - rate)) / n + square / (4 * n))) / (1 + square);
  return { mean: rate, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}
