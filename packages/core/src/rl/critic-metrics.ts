/** TRL's metric names of PPO, from plain numbers: of a rollout, and of an update. Means are over tokens that count, never over padding. */
import { hostMath } from "@trimtab/kernels";
import type { Metrics } from "./metrics";
import type { Rollout } from "./rollout";
import type { Credit } from "./token-credit";

export interface ObjectiveMetricInputs {
  readonly rollout: Rollout;
  /** As paid: clipped, less penalties; NaN = none. (S) */
  readonly scores: ArrayLike<number>;
  /** Of the policy that sampled, and of the reference where there is one. (N) */
  readonly logps: Float32Array;
  readonly refLogps: Float32Array | undefined;
  readonly values: ArrayLike<number>;
  readonly valueMask: Uint8Array;
  readonly credit: Pick<Credit, "kl" | "returns">;
  /** That of this rollout. */
  readonly klCoef: number;
}

/**
 * What a rollout earned and cost, per completion with a token that counts; see docs/algorithms/ppo.md for each name. With a reference,
 * `objective/kl` is always k1's, whatever estimator prices it: the number that KL targets and other papers mean.
 */
export function objectiveMetrics(inputs: ObjectiveMetricInputs): Metrics {
  const { rollout, scores, logps, refLogps, values, valueMask, credit, klCoef } = inputs;
  const { offsets, mask, ends } = rollout;
  const rows = ends.flatMap((_, s) => (mask.subarray(offsets[s], offsets[s + 1]).includes(1) ? [s] : []));
  const tokens = counting(mask);
  const metrics: Metrics = { "val/num_eos_tokens": ends.filter((end) => end === "stop").length };
  if (rows.length === 0) return metrics;
  const perRow = (total: number) => total / rows.length;
  const score = perRow(sum(rows, (s) => scores[s] as number));
  const mismatch = tokens.map((n) => Math.abs((logps[n] as number) - (rollout.samplerLogps[n] as number)));
  const cost = perRow(sum(rows, (s) => -klCoef * (credit.kl[s] as number)));
  Object.assign(metrics, {
    "objective/entropy": perRow(sum(tokens, (n) => -(logps[n] as number))),
    "objective/scores": score,
    "objective/non_score_reward": cost,
    "objective/rlhf_reward": score + cost,
    ...explainedVariance(values, credit.returns, valueMask),
    "sampling/sampling_logp_difference/mean": sum(mismatch, (difference) => difference) / tokens.length,
    "sampling/sampling_logp_difference/max": mismatch.reduce((most, difference) => Math.max(most, difference), 0),
  });
  if (!refLogps) return metrics;
  const logRatio = (n: number) => (logps[n] as number) - (refLogps[n] as number);
  const k1 = sum(tokens, logRatio);
  return {
    ...metrics,
    "objective/kl": perRow(k1),
    "objective/kl_coef": klCoef,
    kl: sum(tokens, (n) => hostMath.expm1(-logRatio(n)) + logRatio(n)) / tokens.length,
    kl_k1: k1 / tokens.length,
  };
}

/** 1 - Var(R - V) / Var(R) over the mask; nothing where the returns do not vary. Source: lm-human-preferences `ppo/val/var_explained`. */
export function explainedVariance(values: ArrayLike<number>, returns: ArrayLike<number>, mask: Uint8Array): Metrics {
  const tokens = counting(mask);
  const variance = (of: (n: number) => number) => {
    const mean = sum(tokens, of) / tokens.length;
    return sum(tokens, (n) => (of(n) - mean) ** 2) / tokens.length;
  };
  const whole = variance((n) => returns[n] as number);
  if (!(whole > 0)) return {};
  return { "val/explained_variance": 1 - variance((n) => (returns[n] as number) - (values[n] as number)) / whole };
}

/** The tokens of an update, each (M). */
export interface UpdatedTokens {
  readonly logps: readonly number[];
  readonly oldLogps: readonly number[];
  readonly advantages: readonly number[];
  readonly entropies: readonly number[];
}

/**
 * How an update sees the policy it began with: `policy/approxkl_avg` ½ (log r)², `policy/entropy_avg`, `val/ratio` and `val/ratio_var` (of the tokens' ratios;
 * TRL's is the variance of micro-batch means), and with `cliprange` `policy/clipfrac_avg`. Nothing without tokens.
 */
export function updateMetrics({ logps, oldLogps, advantages, entropies }: UpdatedTokens, cliprange: number | undefined): Metrics {
  const count = logps.length;
  if (count === 0) return {};
  const logRatios = logps.map((logp, t) => logp - (oldLogps[t] as number));
  const ratios = logRatios.map((x) => hostMath.exp(x));
  const mean = (values: readonly number[]) => sum(values, (value) => value) / count;
  const ratio = mean(ratios);
  const isClipped = (r: number, t: number, range: number) =>
    (advantages[t] as number) > 0 ? r > 1 + range : r < 1 - range && advantages[t] !== 0;
  return {
    "policy/approxkl_avg": mean(logRatios.map((x) => 0.5 * x * x)),
    "policy/entropy_avg": mean(entropies),
    "val/ratio": ratio,
    "val/ratio_var": mean(ratios.map((r) => (r - ratio) ** 2)),
    ...(cliprange === undefined ? {} : { "policy/clipfrac_avg": mean(ratios.map((r, t) => (isClipped(r, t, cliprange) ? 1 : 0))) }),
  };
}

const counting = (mask: Uint8Array): number[] => Array.from(mask.keys()).filter((n) => mask[n]);

const sum = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((total, item) => total + of(item), 0);
