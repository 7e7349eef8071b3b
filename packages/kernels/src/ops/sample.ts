/**
 * One token per row from logits (N, V), on the device; every row by its own settings.
 *
 * settings[n] = [temperature, top_k, top_p, min_p, repetition_penalty]; keys[n] = [seed_lo, seed_hi, stream].
 * In order, as transformers' processors do: the mask `allowed` (without its bit a token is out), repetition penalty on tokens marked in `seen`
 * (a positive logit is divided, a negative one multiplied), temperature, top-k, top-p, min-p, then inverse-CDF sampling with the uniform number
 * Threefry-2x32(key = (seed_lo, seed_hi), counter = (stream, positions[n])): the same number on every device.
 * With z = the allowed logits after penalty and temperature, a token is kept iff
 *   top-k: fewer than top_k logits are strictly greater;
 *   top-p: the total probability of strictly more likely tokens is < top_p (probabilities renormalised after top-k);
 *   min-p: its probability is at least min_p times the largest.
 * Tokens of the largest z are always kept, equal z are kept or removed together. Of the kept tokens, the first in index order at which the
 * cumulative probability exceeds u is taken, u = (first Threefry word >> 8) · 2^-24.
 * temperature 0 is greedy (the lowest index among equals). top_k 0, top_p 1, min_p 0 and repetition_penalty 1 are off.
 * `logp` is the log-probability under softmax(logits / temperature) before mask, penalty and truncation: what the training pass
 * computes for the same token (for temperature 0, under softmax(logits)). The chosen token is marked in `seen`.
 * W = ⌈V / 32⌉ words of 32 tokens each. At least one token of a row must be allowed.
 */
import { defineOp } from "../contract";

export const sample = defineOp({
  forward: {
    name: "sample_forward",
    in: { logits: "(N, V)", settings: "(N, 5)", keys: "u32 (N, 3)", positions: "u32 (N)", "allowed?": "u32 (N, W)" },
    inout: { "seen?": "u32 (N, W)" },
    out: { tokens: "u32 (N)", logp: "(N)" },
    scalars: { W: "u32" },
    flops: ({ N, V }) => 5 * N * V,
  },
});
