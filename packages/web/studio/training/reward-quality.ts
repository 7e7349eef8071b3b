/** How well a reward model orders comparisons that it was not trained on: pure numbers from its margins. */
import { type Calibration, calibration } from "@trimtab/core";

export interface RewardQuality {
  /** Score of the better completion minus that of the worse, for each comparison. */
  readonly margins: readonly number[];
  /** Share in the right order; a tie is wrong. */
  readonly accuracy: number;
  readonly meanMargin: number;
  /** Of its confidence σ(|margin|) against how often it was right. */
  readonly calibration: Calibration;
  readonly histogram: readonly HistogramBin[];
}

export interface HistogramBin {
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** At least one margin. */
export function rewardQuality(margins: readonly number[]): RewardQuality {
  return {
    margins,
    accuracy: margins.filter((margin) => margin > 0).length / margins.length,
    meanMargin: margins.reduce((sum, margin) => sum + margin, 0) / margins.length,
    // confidences are at least a half, so that ten bins of [0, 1] leave five
    calibration: calibration(
      margins.map((margin) => 1 / (1 + Math.exp(-Math.abs(margin)))),
      margins.map((margin) => margin > 0),
    ),
    histogram: histogramOf(margins),
  };
}

/** Bins of equal, round width with an edge at 0, so that none mixes right and wrong; about a dozen. */
export function histogramOf(values: readonly number[]): readonly HistogramBin[] {
  const largest = Math.max(...values.map(Math.abs), 1e-6);
  const raw = largest / 6;
  const power = 10 ** Math.floor(Math.log10(raw));
  const width = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw) as number);
  const low = Math.floor(Math.min(...values, 0) / width);
  const high = Math.max(Math.floor(Math.max(...values) / width) + 1, 1);
  const bins = Array.from({ length: high - low }, (_, i) => ({ low: (low + i) * width, high: (low + i + 1) * width, count: 0 }));
  for (const value of values) {
    // a margin of exactly 0 is wrong: it belongs to the left
    const at = value === 0 ? -1 : Math.floor(value / width);
    const bin = bins[at - low];
    if (bin) bin.count += 1;
  }
  return bins;
}
