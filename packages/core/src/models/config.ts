/** What a decoder is made of. Every supported architecture is a value of this one type. */
import type { GateKind, RopeScaling, UnaryKind } from "@trimtab/kernels";
import type { AttentionShape } from "../nn/attention";

/** Rotary positions: the base of the frequencies, and how they are stretched. */
export interface Rope {
  readonly theta: number;
  readonly scaling: RopeScaling;
}

/** The positions that a model is told: rotary ones, or a learned vector for each. */
export type Positions =
  | (Rope & {
      readonly kind: "rope";
      /** Rotated channels of each head, the first ones. Default all. */
      readonly rotated?: number | undefined;
      /** Of the layers with a sliding window, where they differ (Gemma 3). Default the same. */
      readonly local?: Rope | undefined;
    })
  | { readonly kind: "learned" };

export type LayerType = "full" | "sliding";

export interface DecoderConfig {
  /** As in config.json: `llama`, `qwen2`, `gpt2`, ... */
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
  /** `offset`: y = (offset + w) x̂; 1 in Gemma, whose weights start at 0. Default 0. */
  readonly norm: { readonly kind: "rms" | "layer"; readonly eps: number; readonly offset?: number | undefined };
  /** Where attention and MLP are normed: their input, what they add to the residual stream (OLMo 2), or both (Gemma). Default "before". */
  readonly blockNorms?: "before" | "after" | "both" | undefined;
  readonly positions: Positions;
  readonly mlp: { readonly kind: "gated"; readonly gate: GateKind } | { readonly kind: "plain"; readonly activation: UnaryKind };
  /** Which linear layers have biases. */
  readonly bias: { readonly qkv: boolean; readonly out: boolean; readonly mlp: boolean };
  /** RMS norm of queries and keys: of each head (Qwen3, Gemma 3), or over the width of all heads (OLMo 2). */
  readonly headNorm: "none" | "head" | "width";
  /** Embeddings are multiplied by it: √C in Gemma. Default 1. */
  readonly embeddingScale?: number | undefined;
  /** Scores are divided by its root. Default headDim. */
  readonly queryScalar?: number | undefined;
  /** Scores of attention, and logits, become cap · tanh(x / cap) (Gemma 2). Default no cap. */
  readonly attentionSoftCap?: number | undefined;
  readonly logitSoftCap?: number | undefined;
  /** Tokens that a layer with a sliding window sees, its own included. Default: no layer has one. */
  readonly slidingWindow?: number | undefined;
  /** One for each layer. Default: every layer slides where there is a `slidingWindow`, none where there is not. */
  readonly layerTypes?: readonly LayerType[] | undefined;
  /** Layers whose queries and keys are rotated (SmolLM3). Default all. */
  readonly ropeLayers?: readonly boolean[] | undefined;
  /** The output head is the embedding table. */
  readonly tied: boolean;
  /** What the last hidden state becomes: logits of the vocabulary, or one score (a reward model). */
  readonly head: "lm" | "score";
  readonly initializerRange: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | undefined;
}

/** Which of our parameters have a row for each token: a device with small buffers keeps them in parts. */
export const isTable = (parameter: string): boolean => parameter === "embedding" || parameter === "head";

/** True where layer `layer` sees no more than the last `slidingWindow` tokens. */
export function isSliding(config: DecoderConfig, layer: number): boolean {
  return config.slidingWindow !== undefined && (config.layerTypes?.[layer] ?? "sliding") === "sliding";
}

/** How layer `layer` attends. */
export function attentionShape(config: DecoderConfig, layer: number): AttentionShape {
  return {
    H: config.heads,
    K: config.kvHeads,
    D: config.headDim,
    scale: 1 / Math.sqrt(config.queryScalar ?? config.headDim),
    cap: config.attentionSoftCap ?? 0,
    window: isSliding(config, layer) ? (config.slidingWindow as number) : 0,
  };
}

/** Channels of a head that turn with the position. */
export function rotatedChannels({ positions, headDim }: DecoderConfig): number {
  return positions.kind === "rope" ? (positions.rotated ?? headDim) : 0;
}

/** Rows of the rotary tables: one for each position, and for LongRoPE one more for each position of a short row. */
export function ropeRows(config: DecoderConfig): number {
  const { positions, maxPositions } = config;
  if (positions.kind !== "rope" || positions.scaling.type !== "longrope") return maxPositions;
  return Math.min(positions.scaling.originalMaxPositions, maxPositions) + maxPositions;
}

/**
 * What is added to the positions of a row of up to `length` tokens. LongRoPE turns rows beyond its original length by other angles than short
 * ones: their part of the table lies behind that of the short rows. As in transformers, but row by row, where that looks at a batch's longest.
 */
export function positionShift(config: DecoderConfig, length: number): number {
  const { positions } = config;
  if (positions.kind !== "rope" || positions.scaling.type !== "longrope") return 0;
  const { originalMaxPositions } = positions.scaling;
  return length > originalMaxPositions ? Math.min(originalMaxPositions, config.maxPositions) : 0;
}
