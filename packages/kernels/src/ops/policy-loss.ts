/**
 * The clipped token surrogate of PPO and GRPO with its KL term: loss, gradient and metric sums in one pass.
 *
 * Per token with weight w and mask m (1 = counts), A = advantage, r = exp(clamp(logp - old, -20, 20)):
 *   u  = A min(r, delta)            (delta 0 = no two-sided clip)
 *   L  = -min(u, A clip(r, 1 - epsilon_low, 1 + epsilon_high)) + beta k3,   k3 = expm1(d) - d, d = ref - logp
 *   loss = Σ w L;   dlogps = w dL/dlogp  (exactly 0 where m = 0, whatever the other inputs hold, NaN included)
 * All reductions (grpo, bnpo, dr_grpo, dapo) are choices of w: the denominator is computed once per optimiser step.
 * The clamp has zero gradient outside ±20; a tie between the branches takes the unclipped one.
 *
 * sums (all over m = 1; only the loss is weighted by w): 0 loss · 1 count · 2 k3 · 3 k1 (logp - ref) · 4 low-clipped (r < 1 - epsilon_low, A < 0) ·
 * 5 high-clipped (r > 1 + epsilon_high, A > 0) · 6 ratio · 7 ½ (logp - old)²
 */
import { defineOp } from "../contract";

/** Index of each entry of `sums`. */
export const POLICY_SUMS = { loss: 0, count: 1, k3: 2, k1: 3, clipLow: 4, clipHigh: 5, ratio: 6, approxKl: 7 } as const;

export const policyLoss = defineOp({
  fused: {
    name: "policy_loss_fused",
    in: { logps: "(N)", oldLogps: "(N)", "refLogps?": "(N)", advantages: "(N)", weights: "(N)", mask: "(N)" },
    out: { dlogps: "(N)", sums: "(Q)" },
    scalars: { Q: "u32", epsilon_low: "f32", epsilon_high: "f32", delta: "f32", beta: "f32" },
    flops: ({ N }) => 30 * N,
  },
});
