/** Mistral: a Llama whose layers may all have a sliding window. */
import { llamaLike, PLAIN, ROPE } from "./llama";

export const mistral = llamaLike({
  modelType: "mistral",
  architecture: "MistralForCausalLM",
  scoreArchitecture: "MistralForSequenceClassification",
  defaults: { tied: false, eps: 1e-6, theta: 10000, maxPositions: 131072 },
  // Left out it is 4096; null, as since version 0.2, is none.
  extend: (json) => ({ slidingWindow: json.optionalSize("sliding_window", 4096), bias: PLAIN.bias }),
  write: ({ slidingWindow }) => ({ sliding_window: slidingWindow ?? null }),
  published: () => ({ ...PLAIN, norm: { kind: "rms", eps: 1e-5 }, positions: ROPE(10000), tied: false, slidingWindow: 4096 }),
});
