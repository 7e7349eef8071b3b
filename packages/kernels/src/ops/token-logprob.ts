/**
 * From hidden states to what nearly every objective needs of the vocabulary, without ever holding an (N, V) array.
 *
 * z = inverse_temperature · hidden · headᵀ, p = softmax(z), t = target. Where cap > 0 the product is first capped, x -> cap tanh(x / cap):
 *   lse = log Σ exp z,  logp = z_t - lse,  entropy = lse - Σ p z,  hit = 1 if z_t = max z else 0
 *
 * A head may be part of a larger one, whose row `first` is its first: targets are rows of the larger one. The forward pass of a head in parts is
 * `statistics` of each, in their order, and then `results`.
 */
import { defineOp, type Sizes } from "../contract";

const logits = ({ N, C, V }: Sizes) => 2 * N * C * V;

export const tokenLogprob = defineOp({
  forward: {
    name: "token_logprob_forward",
    in: { hidden: "(N, C)", head: "(V, C)", targets: "u32 (N)" },
    out: { logp: "(N)", entropy: "(N)", lse: "(N)", hit: "(N)" },
    scalars: { inverse_temperature: "f32", cap: "f32" },
    flops: logits,
  },
  /**
   * What a row needs of the logits of this part and the parts before it: (max z, Σ e^(z - max), Σ (z - max) e^(z - max), z_t). The part whose
   * `first` is 0 begins; the others are joined to what is there. z_t is -3e38 until the part that holds the target.
   */
  statistics: {
    name: "token_logprob_statistics",
    in: { hidden: "(N, C)", head: "(V, C)", targets: "u32 (N)" },
    inout: { statistics: "(N, 4)" },
    scalars: { inverse_temperature: "f32", cap: "f32", first: "u32" },
    flops: logits,
  },
  /** The results of `forward` from the statistics of all parts. */
  results: {
    name: "token_logprob_results",
    in: { statistics: "(N, 4)" },
    out: { logp: "(N)", entropy: "(N)", lse: "(N)", hit: "(N)" },
    flops: ({ N }) => 5 * N,
  },
  /**
   * Folds the upstream gradients g_logp, g_entropy, g_lse into one row of coefficients (a, c0, c1, lse):
   *   dz_j = a 1[j = t] + p_j (c0 + c1 z_j),  a = g_logp,  c1 = -g_entropy,  c0 = g_lse - g_logp - c1 lse_minus_entropy
   * where lse_minus_entropy = lse - entropy, because dH/dz_j = -p_j (z_j - lse + H).
   */
  coefficients: {
    name: "token_logprob_coefficients",
    in: { dlogp: "(N)", "dentropy?": "(N)", "dlse?": "(N)", entropy: "(N)", lse: "(N)" },
    out: { coefficients: "(N, 4)" },
    flops: ({ N }) => 5 * N,
  },
  /**
   * Of a part's tokens: dhidden = inverse_temperature · dz · head;  dhead += inverse_temperature · dzᵀ · hidden, with dz times 1 - (x / cap)² of a capped x; z is
   * recomputed in chunks.
   */
  backward: {
    name: "token_logprob_backward",
    in: { coefficients: "(N, 4)", hidden: "(N, C)", head: "(V, C)", targets: "u32 (N)" },
    out: { dhidden: "(N, C)", "dhead?": "+= (V, C)" },
    scalars: { inverse_temperature: "f32", cap: "f32", first: "u32" },
    // the logits again, and one product for each gradient
    flops: (sizes) => (2 + sizes.has_dhead) * logits(sizes),
  },
});
