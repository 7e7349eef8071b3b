/** What a decoder is made of. Every supported architecture is a value of this one type. */
import type { GateKind, RopeScaling, UnaryKind } from "@trimtab/kernels";

export interface DecoderConfig {
  /** As in config.json: `llama`, `qwen2`, `qwen3`, `gpt2`. */
  readonly modelType: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  /** Query heads, key/value heads, channels per head. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Longest sequence the model was made for, in tokens. */
  readonly maxPositions: number;
  readonly norm: { readonly kind: "rms" | "layer"; readonly eps: number };
  readonly positions: { readonly kind: "rope"; readonly theta: number; readonly scaling: RopeScaling } | { readonly kind: "learned" };
  readonly mlp: { readonly kind: "gated"; readonly gate: GateKind } | { readonly kind: "plain"; readonly activation: UnaryKind };
  /** Which linear layers have biases. */
  readonly bias: { readonly qkv: boolean; readonly out: boolean; readonly mlp: boolean };
  /** RMS norm of each query and key head (Qwen3). */
  readonly headNorm: boolean;
  /** The output head is the embedding table. */
  readonly tied: boolean;
  /** What the last hidden state becomes: logits of the vocabulary, or one score (a reward model). */
  readonly head: "lm" | "score";
  readonly initializerRange: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | undefined;
}
