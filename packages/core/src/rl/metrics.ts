/** TRL's metric names for rollouts and policy updates, computed from plain numbers. Means skip what is not there. */
import { hostMath } from "@trimtab/kernels";
import type { ScoredBatch } from "./rewards";
import type { Rollout } from "./rollout";

export type Metrics = Record<string, number>;

/** `completions/*`: lengths of all completions, of those that ended by themselves, and the share of those cut short. */
export function completionMetrics(rollout: Rollout): Metrics {
  const lengths = rollout.ends.map((_, s) => (rollout.offsets[s + 1] as number) - (rollout.completionStarts[s] as number));
  const terminated = lengths.filter((_, s) => rollout.ends[s] !== "length");
  const ended = terminated.length > 0 ? terminated : [0];
  return {
    "completions/mean_length": mean(lengths),
    "completions/min_length": Math.min(...lengths),
    "completions/max_length": Math.max(...lengths),
    "completions/mean_terminated_length": mean(ended),
    "completions/min_terminated_length": Math.min(...ended),
    "completions/max_terminated_length": Math.max(...ended),
    "completions/clipped_ratio": 1 - terminated.length / lengths.length,
  };
}

/**
 * `reward*`, where there are values: per function, their weighted sum, its spread, and the share of groups without any. The spread is the
 * mean of the groups' own, or that of the batch where advantages are scaled by it or groups have one member.
 */
export function rewardMetrics(scored: ScoredBatch, groupSize: number, scale: "group" | "batch" | "none" = "group"): Metrics {
  const metrics: Metrics = {};
  for (const [name, values] of scored.byName) {
    const present = values.filter((v) => v !== null);
    metrics[`rewards/${name}/mean`] = mean(present);
    metrics[`rewards/${name}/std`] = standardDeviation(present);
  }
  const present = (from: number, to: number) => [...scored.rewards.subarray(from, to)].filter((r) => !Number.isNaN(r));
  const groups = Array.from({ length: scored.rewards.length / groupSize }, (_, g) => present(g * groupSize, (g + 1) * groupSize));
  const deviations = groups.map(standardDeviation).filter((std) => !Number.isNaN(std));
  const all = present(0, scored.rewards.length);
  metrics.reward = mean(all);
  metrics.reward_std = scale === "batch" || groupSize === 1 ? standardDeviation(all) : mean(deviations);
  if (groupSize > 1) metrics.frac_reward_zero_std = groups.filter((group) => !(standardDeviation(group) > 1e-8)).length / groups.length;
  if (scored.failures > 0) metrics.reward_failures = scored.failures;
  const named = { ...metrics, ...scored.metrics };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => !Number.isNaN(value)));
}

/** Log-probabilities of one completion's counting tokens, each (n), and its advantage. */
export interface UpdatedRow {
  readonly logps: ArrayLike<number>;
  readonly oldLogps: ArrayLike<number>;
  readonly samplerLogps: ArrayLike<number>;
  readonly advantage: number;
}

/**
 * `clip_ratio/*` and `sampling/*`. A ratio is clipped low where it is below 1 - epsilonLow and A < 0, high where it is above
 * 1 + epsilonHigh and A > 0. Means are over tokens (or completions, at sequence level); min and max over completions.
 */
export function policyMetrics(
  rows: readonly UpdatedRow[],
  options: { readonly epsilonLow: number; readonly epsilonHigh: number; readonly level: "token" | "sequence" },
): Metrics {
  if (rows.length === 0) return {};
  const [low, high]: [number[], number[]] = [[], []];
  const [lowByRow, highByRow]: [number[], number[]] = [[], []];
  for (const { logps, oldLogps, advantage } of rows) {
    const logRatios = Array.from(logps, (logp, t) => logp - (oldLogps[t] as number));
    const compared = options.level === "token" ? logRatios : [logRatios.length > 0 ? mean(logRatios) : 0];
    const ratios = compared.map((logRatio) => hostMath.exp(logRatio));
    const isLow = ratios.map((r) => (r < 1 - options.epsilonLow && advantage < 0 ? 1 : 0));
    const isHigh = ratios.map((r) => (r > 1 + options.epsilonHigh && advantage > 0 ? 1 : 0));
    low.push(...isLow);
    high.push(...isHigh);
    if (ratios.length === 0) continue;
    lowByRow.push(mean(isLow));
    highByRow.push(mean(isHigh));
  }
  const [lowMean, highMean] = [mean(low) || 0, mean(high) || 0];
  return {
    "clip_ratio/low_mean": lowMean,
    "clip_ratio/low_min": lowByRow.length > 0 ? Math.min(...lowByRow) : 0,
    "clip_ratio/high_mean": highMean,
    "clip_ratio/high_max": highByRow.length > 0 ? Math.max(...highByRow) : 0,
    "clip_ratio/region_mean": lowMean + highMean,
    ...samplingMetrics(rows),
  };
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

/** NaN for no values. */
function mean(values: readonly number[]): number {
  return values.reduce((sum, v) => sum + v, 0) / values.length;
}

/** With Bessel's correction; NaN for fewer than two values. */
function standardDeviation(values: readonly number[]): number {
  const m = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - m) * (v - m), 0) / (values.length - 1));
}
