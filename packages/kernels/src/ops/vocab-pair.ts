/**
 * How far apart two distributions over the vocabulary are, row by row, from their hidden states, without ever holding an (N, V) array.
 *
 * z = inverse_temperature · hidden · headᵀ, p = softmax(z): the side that learns (student, new policy).
 * q = softmax of the same with the fixed_ quantities: the constant side (teacher, old or reference policy).
 * A side whose cap is above 0 has its product capped first, x -> cap tanh(x / cap).
 * m = (1 - beta) p + beta q. The divergence D of a row is GKD's generalised Jensen-Shannon divergence (arXiv 2306.13649; TRL's
 * generalized_jsd_loss), whose ends are the two Kullback-Leibler divergences and not its limits:
 *   beta = 0: KL(q || p);  beta = 1: KL(p || q);  between: beta KL(q || m) + (1 - beta) KL(p || m)
 *
 * Every KL(a || b) is summed as Σ a log(a/b) - a + b: the same number, as both sum to 1, in terms that are never negative, so a
 * divergence of nearly equal distributions keeps its digits and none comes out below 0.
 */
import { defineOp, type Sizes } from "../contract";

const bothLogits = ({ N, C, D, V }: Sizes) => 2 * N * V * (C + D);

export const vocabPair = defineOp({
  /**
   * lse and fixedLse are log Σ exp of each side. centre = Σ p g, where p_j g_j = p_j ∂D/∂p_j up to a constant that no softmax feels:
   *   beta = 0: p g = p - q;  beta = 1: g = log(p/q);  between: g = (1 - beta) log(p/m)
   */
  forward: {
    name: "vocab_pair_forward",
    in: { hidden: "(N, C)", head: "(V, C)", fixedHidden: "(N, D)", fixedHead: "(V, D)" },
    out: { divergence: "(N)", centre: "(N)", lse: "(N)", fixedLse: "(N)" },
    flops: bothLogits,
    scalars: { inverse_temperature: "f32", fixed_inverse_temperature: "f32", cap: "f32", fixed_cap: "f32", beta: "f32" },
  },
  /**
   * `forward` for a part of the vocabulary, both sides' lse being known: its share of divergence and centre. The part whose `first` is 0 begins;
   * those of the others are added to what is there.
   */
  sums: {
    name: "vocab_pair_sums",
    in: { hidden: "(N, C)", head: "(V, C)", fixedHidden: "(N, D)", fixedHead: "(V, D)", lse: "(N)", fixedLse: "(N)" },
    inout: { divergence: "(N)", centre: "(N)" },
    flops: bothLogits,
    scalars: {
      inverse_temperature: "f32",
      fixed_inverse_temperature: "f32",
      cap: "f32",
      fixed_cap: "f32",
      beta: "f32",
      first: "u32",
    },
  },
  /** One row of numbers for the backward pass: (ddivergence, centre, lse, fixedLse). */
  coefficients: {
    name: "vocab_pair_coefficients",
    in: { ddivergence: "(N)", centre: "(N)", lse: "(N)", fixedLse: "(N)" },
    out: { coefficients: "(N, 4)" },
    flops: () => 0,
  },
  /**
   * dz_j = ddivergence (p_j g_j - p_j centre), times 1 - (x / cap)² of a capped x;  dhidden = inverse_temperature · dz · head;  dhead += inverse_temperature · dzᵀ · hidden;
   * both sides' logits are recomputed in chunks. The heads may be the same part of two larger ones.
   */
  backward: {
    name: "vocab_pair_backward",
    in: { coefficients: "(N, 4)", hidden: "(N, C)", head: "(V, C)", fixedHidden: "(N, D)", fixedHead: "(V, D)" },
    out: { dhidden: "(N, C)", "dhead?": "+= (V, C)" },
    flops: (sizes) => bothLogits(sizes) + (1 + sizes.has_dhead) * 2 * sizes.N * sizes.V * sizes.C,
    scalars: { inverse_temperature: "f32", fixed_inverse_temperature: "f32", cap: "f32", fixed_cap: "f32", beta: "f32" },
  },
});
