/** Phi-3, 3.5 and 4 mini: a Llama whose file fuses query, key and value, and gate and up; LongRoPE, part of a head rotated, a sliding window. */
import { llamaLike, PLAIN, ROPE } from "./llama";

export const phi3 = llamaLike({
  modelType: "phi3",
  architecture: "Phi3ForCausalLM",
  scoreArchitecture: "Phi3ForSequenceClassification",
  defaults: { tied: false, eps: 1e-5, theta: 10000, maxPositions: 4096 },
  isFused: true,
  extend: (json) => ({ slidingWindow: json.optionalSize("sliding_window"), bias: PLAIN.bias }),
  write: ({ slidingWindow }) => ({ sliding_window: slidingWindow ?? null, resid_pdrop: 0, embd_pdrop: 0 }),
  published: () => ({ ...PLAIN, norm: { kind: "rms", eps: 1e-5 }, positions: ROPE(10000), tied: false }),
});
