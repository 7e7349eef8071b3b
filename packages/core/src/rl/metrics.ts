/** TRL's metric names for rollouts, computed from plain numbers. Means skip what is not there. */
import { mean } from "./mean";
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

/** With Bessel's correction; NaN for fewer than two values. */
function standardDeviation(values: readonly number[]): number {
  const m = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - m) * (v - m), 0) / (values.length - 1));
}
