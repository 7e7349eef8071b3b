/** How far predicted probabilities are from what happens: reliability bins and the expected calibration error. */
import { ArgumentError } from "@trimtab/kernels";

/** Predictions in [low, high), the last bin with its end. */
export interface ReliabilityBin {
  readonly low: number;
  readonly high: number;
  readonly count: number;
  /** Mean of the predictions in it; NaN where there are none. */
  readonly confidence: number;
  /** Share of them that came true; NaN where there are none. */
  readonly frequency: number;
}

export interface Calibration {
  /** Σ_bins count / total · |frequency - confidence| (Naeini et al. 2015; Guo et al. 2017, equation 3). */
  readonly expectedCalibrationError: number;
  /** Largest |frequency - confidence| of a bin. */
  readonly maximumCalibrationError: number;
  /** Mean squared difference of prediction and outcome (Brier 1950). */
  readonly brierScore: number;
  readonly bins: readonly ReliabilityBin[];
}

/**
 * `probabilities` in [0, 1] and whether each came true. For a reward model: σ(score difference) of pairs in an order that does not
 * depend on the label, and whether the first was preferred; or max(p, 1 - p) and whether the prediction was right. `binCount` bins of
 * equal width, default 10. Throws ArgumentError for an empty list, unequal lengths, or a value outside [0, 1].
 */
export function calibration(probabilities: ArrayLike<number>, outcomes: ArrayLike<boolean>, binCount = 10): Calibration {
  const total = probabilities.length;
  if (total === 0 || outcomes.length !== total || !(Number.isSafeInteger(binCount) && binCount > 0)) {
    throw new ArgumentError(
      `calibration: there must be as many outcomes as probabilities, at least 1, and at least 1 bin, got ${outcomes.length}, ${total} and ${binCount}. Pass one outcome per prediction.`,
    );
  }
  const sums = Array.from({ length: binCount }, () => ({ count: 0, predicted: 0, happened: 0 }));
  let squares = 0;
  for (let i = 0; i < total; i++) {
    const p = probabilities[i] as number;
    if (!(p >= 0 && p <= 1))
      throw new ArgumentError(`calibration: every probability must be between 0 and 1, got ${p} at ${i}. Apply a sigmoid.`);
    const outcome = outcomes[i] ? 1 : 0;
    const bin = sums[Math.min(binCount - 1, Math.floor(p * binCount))] as (typeof sums)[number];
    bin.count += 1;
    bin.predicted += p;
    bin.happened += outcome;
    squares += (p - outcome) * (p - outcome);
  }
  const bins = sums.map(({ count, predicted, happened }, b) => ({
    low: b / binCount,
    high: (b + 1) / binCount,
    count,
    confidence: predicted / count,
    frequency: happened / count,
  }));
  const gaps = bins.map(({ count, confidence, frequency }) => (count > 0 ? Math.abs(frequency - confidence) : 0));
  return {
    expectedCalibrationError: gaps.reduce((sum, gap, b) => sum + (gap * (bins[b] as ReliabilityBin).count) / total, 0),
    maximumCalibrationError: Math.max(...gaps),
    brierScore: squares / total,
    bins,
  };
}
