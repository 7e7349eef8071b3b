/** OLMo 2: norms after attention and MLP instead of before, and queries and keys normed over the width of all heads. */
import { llamaLike, PLAIN, ROPE } from "./llama";

export const olmo2 = llamaLike({
  modelType: "olmo2",
  architecture: "Olmo2ForCausalLM",
  scoreArchitecture: "Olmo2ForSequenceClassification",
  defaults: { tied: false, eps: 1e-5, theta: 10000, maxPositions: 2048 },
  extend: () => ({ headNorm: "width", blockNorms: "after" }),
  published: () => ({
    ...PLAIN,
    norm: { kind: "rms", eps: 1e-6 },
    positions: ROPE(5e5),
    headNorm: "width",
    blockNorms: "after",
    tied: false,
  }),
});
