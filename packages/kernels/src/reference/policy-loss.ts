/** Reference of the fused clipped policy loss with its KL term. */
import { POLICY_SUMS, policyLoss } from "../ops/policy-loss";
import { implement } from "./implement";

/** The log-ratio is clamped to ± this before exp. */
const LOG_RATIO_LIMIT = 20;

export const policyLossReference = [
  implement<
    "logps" | "oldLogps" | "advantages" | "weights" | "mask" | "dlogps" | "sums",
    "N" | "epsilon_low" | "epsilon_high" | "delta" | "beta",
    "refLogps"
  >(
    policyLoss.fused,
    ({ logps, oldLogps, refLogps, advantages, weights, mask, dlogps, sums }, { N, epsilon_low, epsilon_high, delta, beta }) => {
      sums.fill(0);
      for (let n = 0; n < N; n++) {
        dlogps[n] = 0;
        if (mask[n] === 0) continue;
        const A = advantages[n]!;
        const logRatio = logps[n]! - oldLogps[n]!;
        const r = Math.exp(Math.min(Math.max(logRatio, -LOG_RATIO_LIMIT), LOG_RATIO_LIMIT));
        const drdlogp = Math.abs(logRatio) <= LOG_RATIO_LIMIT ? r : 0;

        const isCapped = delta !== 0 && r > delta;
        const unclipped = A * (isCapped ? delta : r);
        const clipped = A * Math.min(Math.max(r, 1 - epsilon_low), 1 + epsilon_high);
        // The clipped branch is constant in logp wherever it is strictly smaller, so only the unclipped one has a gradient.
        let loss = -Math.min(unclipped, clipped);
        let gradient = unclipped <= clipped && !isCapped ? -A * drdlogp : 0;

        let k1 = 0;
        let k3 = 0;
        if (refLogps) {
          const d = refLogps[n]! - logps[n]!;
          k1 = -d;
          k3 = Math.expm1(d) - d;
          loss += beta * k3;
          gradient -= beta * Math.expm1(d);
        }

        dlogps[n] = weights[n]! * gradient;
        sums[POLICY_SUMS.loss]! += weights[n]! * loss;
        sums[POLICY_SUMS.count]! += 1;
        sums[POLICY_SUMS.k3]! += k3;
        sums[POLICY_SUMS.k1]! += k1;
        sums[POLICY_SUMS.clipLow]! += r < 1 - epsilon_low && A < 0 ? 1 : 0;
        sums[POLICY_SUMS.clipHigh]! += r > 1 + epsilon_high && A > 0 ? 1 : 0;
        sums[POLICY_SUMS.ratio]! += r;
        sums[POLICY_SUMS.approxKl]! += 0.5 * logRatio ** 2;
      }
    },
  ),
];
