/** TRL's `clip_ratio/*`, `cispo_clip_ratio` and `sampling/*`, computed from the log-probabilities that a step reads back. */
import { hostMath } from "@trimtab/kernels";
import type { ImportanceSamplingLevel } from "../losses/policy/ratios";
import type { LossType } from "../losses/token-weights";
import { mean } from "./mean";
import type { Metrics } from "./metrics";

/** Values of one completion's counting tokens, each (n). */
export interface UpdatedRow {
  readonly logps: ArrayLike<number>;
  readonly oldLogps: ArrayLike<number>;
  readonly samplerLogps: ArrayLike<number>;
  readonly advantages: ArrayLike<number>;
}

/**
 * When a ratio r counts as clipped. "ratio": below 1 - epsilonLow with A < 0 (low), above 1 + epsilonHigh with A > 0 (high). "log_ratio": the
 * same for log r against -epsilonLow and epsilonHigh (GMPO). "cap": above epsilonHigh with A > 0 (CISPO). "none": never (SAPO, VESPO).
 */
export type ClipMeasure = "ratio" | "log_ratio" | "cap" | "none";

export const clipMeasures: Readonly<Record<LossType, ClipMeasure>> = {
  grpo: "ratio",
  bnpo: "ratio",
  dr_grpo: "ratio",
  dapo: "ratio",
  luspo: "ratio",
  cispo: "cap",
  sapo: "none",
  vespo: "none",
  gmpo: "log_ratio",
};

export interface PolicyMetricOptions {
  readonly epsilonLow: number;
  readonly epsilonHigh: number;
  readonly level: ImportanceSamplingLevel | "sequence_sum";
  readonly measure: ClipMeasure;
}

/** Means are over tokens (over completions where they have one ratio each); min and max over completions. Empty without rows. */
export function policyMetrics(rows: readonly UpdatedRow[], options: PolicyMetricOptions): Metrics {
  if (rows.length === 0) return {};
  return { ...clipMetrics(rows, options), ...samplingMetrics(rows) };
}

function clipMetrics(rows: readonly UpdatedRow[], { epsilonLow, epsilonHigh, level, measure }: PolicyMetricOptions): Metrics {
  if (measure === "none") return {};
  const perRow = rows.map((row) => {
    const { logRatios, advantages } = compared(row, level);
    const values = measure === "log_ratio" ? logRatios : logRatios.map((x) => hostMath.exp(x));
    const centre = measure === "ratio" ? 1 : 0;
    return {
      low: values.map((value, t) => (value < centre - epsilonLow && (advantages[t] as number) < 0 ? 1 : 0)),
      high: values.map((value, t) => (value > centre + epsilonHigh && (advantages[t] as number) > 0 ? 1 : 0)),
    };
  });
  const highMean = mean(perRow.flatMap(({ high }) => high)) || 0;
  if (measure === "cap") return { cispo_clip_ratio: highMean };
  const lowMean = mean(perRow.flatMap(({ low }) => low)) || 0;
  const filled = perRow.filter(({ low }) => low.length > 0);
  return {
    "clip_ratio/low_mean": lowMean,
    "clip_ratio/low_min": filled.length > 0 ? Math.min(...filled.map(({ low }) => mean(low))) : 0,
    "clip_ratio/high_mean": highMean,
    "clip_ratio/high_max": filled.length > 0 ? Math.max(...filled.map(({ high }) => mean(high))) : 0,
    "clip_ratio/region_mean": lowMean + highMean,
  };
}

/** The log-ratios that a level compares with the clip range, and the advantage that goes with each. */
function compared({ logps, oldLogps, advantages }: UpdatedRow, level: PolicyMetricOptions["level"]) {
  const logRatios = Array.from(logps, (logp, t) => logp - (oldLogps[t] as number));
  if (level === "token" || logRatios.length === 0) return { logRatios, advantages };
  const whole = logRatios.reduce((sum, x) => sum + x, 0) / (level === "sequence_sum" ? 1 : logRatios.length);
  return { logRatios: level === "sequence_token" ? logRatios.map(() => whole) : [whole], advantages };
}

/** How far the sampler's log-probabilities are from the training pass's: per token, and as ratios of whole completions. */
function samplingMetrics(rows: readonly UpdatedRow[]): Metrics {
  let [sum, count, largest] = [0, 0, 0];
  const ratios: number[] = [];
  for (const { oldLogps, samplerLogps } of rows) {
    let total = 0;
    for (let t = 0; t < oldLogps.length; t++) {
      const difference = (oldLogps[t] as number) - (samplerLogps[t] as number);
      total += difference;
      sum += Math.abs(difference);
      largest = Math.max(largest, Math.abs(difference));
    }
    count += oldLogps.length;
    ratios.push(hostMath.exp(total));
  }
  return {
    "sampling/sampling_logp_difference/mean": sum / Math.max(1, count),
    "sampling/sampling_logp_difference/max": largest,
    "sampling/importance_sampling_ratio/min": Math.min(...ratios),
    "sampling/importance_sampling_ratio/mean": mean(ratios),
    "sampling/importance_sampling_ratio/max": Math.max(...ratios),
  };
}
