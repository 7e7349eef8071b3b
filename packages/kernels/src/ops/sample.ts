/**
 * One token per row from logits (N, V), on the device.
 *
 * In order, as transformers' processors do: repetition penalty on tokens marked in `seen` (a positive logit is divided, a
 * negative one multiplied), temperature, top-k, top-p, min-p, then inverse-CDF sampling with the uniform number
 * Threefry-2x32(key = (seed_lo, seed_hi), counter = (streams[n], positions[n])): the same number on every device.
 * With z = the logits after penalty and temperature, a token is kept iff
 *   top-k: fewer than top_k logits are strictly greater;
 *   top-p: the total probability of strictly more likely tokens is < top_p (probabilities renormalised after top-k);
 *   min-p: its probability is at least min_p times the largest.
 * Tokens of the largest z are always kept, equal z are kept or removed together. Of the kept tokens, the first in index order at which the
 * cumulative probability exceeds u is taken, u = (first Threefry word >> 8) · 2^-24.
 * temperature 0 is greedy (the lowest index among equals). top_k 0, top_p 1, min_p 0 and repetition_penalty 1 are off.
 * `logp` is the log-probability under softmax(logits / temperature) before penalty and truncation: what the training pass
 * computes for the same token (for temperature 0, under softmax(logits)). The chosen token is marked in `seen`.
 * W = ⌈V / 32⌉ words of 32 tokens each.
 */
import { defineOp } from "../contract";

export const sample = defineOp({
  forward: {
    name: "sample_forward",
    in: { logits: "(N, V)", streams: "u32 (N)", positions: "u32 (N)" },
    inout: { "seen?": "u32 (N, W)" },
    out: { tokens: "u32 (N)", logp: "(N)" },
    scalars: {
      W: "u32",
      temperature: "f32",
      top_k: "u32",
      top_p: "f32",
      min_p: "f32",
      repetition_penalty: "f32",
      seed_lo: "u32",
      seed_hi: "u32",
    },
  },
});
