/** The KL to the reference as part of the reward: what each token of a rollout costs, in f64 on the host. */
import { hostMath } from "@trimtab/kernels";
import type { Rollout } from "./rollout";

/** See {@link tokenKl}. */
export type KlEstimator = "k1" | "k2" | "k3" | "abs";

/**
 * Estimates of KL(π ‖ π_ref) at every counting token, 0 elsewhere, from a = log π(o_t) - log π_ref(o_t) with o_t drawn from π. (N)
 *
 *   k1 = a     k2 = a² / 2     k3 = e^(-a) - 1 + a     abs = |a|
 *
 * k1 and k3 are unbiased; k1 may be negative. In the reward (lm-human-preferences; Schulman 2020) every one is a constant: what matters is its
 * value, and only k1 and k3 have the right mean. As in TRL's PPOTrainer (k1, k3) and OpenRLHF (k1, k2, k3); no clamp, as in TRL.
 */
export function tokenKl(
  rollout: Rollout,
  logps: ArrayLike<number>,
  refLogps: ArrayLike<number>,
  estimator: KlEstimator,
): Float64Array<ArrayBuffer> {
  const estimate = estimators[estimator];
  return Float64Array.from(rollout.mask, (counts, n) => (counts ? estimate((logps[n] as number) - (refLogps[n] as number)) : 0));
}

const estimators: Readonly<Record<KlEstimator, (a: number) => number>> = {
  k1: (a) => a,
  k2: (a) => (a * a) / 2,
  k3: (a) => hostMath.expm1(-a) + a,
  abs: Math.abs,
};

/** Σ of values (N) over the counting tokens of each row. (S) */
export function sumRows({ offsets, mask, ends }: Rollout, values: ArrayLike<number>): Float64Array<ArrayBuffer> {
  return Float64Array.from(ends, (_, s) => {
    let sum = 0;
    for (let n = offsets[s] as number; n < (offsets[s + 1] as number); n++) if (mask[n]) sum += values[n] as number;
    return sum;
  });
}
