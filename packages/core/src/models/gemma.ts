/**
 * Gemma 2 and the text model of Gemma 3: norms on both sides of attention and MLP with y = (1 + w) x̂, scaled embeddings, layers with a sliding
 * window among those without, a scale of scores of its own. Gemma 2 caps scores and logits; Gemma 3 norms queries and keys and turns its
 * sliding layers by another base.
 */
import type { DecoderConfig, LayerType, Positions } from "./config";
import type { ConfigReader } from "./family";
import { layerTypesJSON, parseLayerTypes, windowOf } from "./layer-types";
import { llamaLike, PLAIN, ROPE } from "./llama";
import { ropeOf, scalingJSON } from "./rope-config";

/** Every `pattern`-th layer sees everything. */
const slidingBut =
  (pattern: number) =>
  (layer: number): LayerType =>
    (layer + 1) % pattern === 0 ? "full" : "sliding";

/** What both have, read from config.json. */
function parseGemma(json: ConfigReader, llama: DecoderConfig, pattern: number): Partial<DecoderConfig> {
  json.only("use_bidirectional_attention", [false], "Only causal attention is supported.");
  const cap = (field: string, usual: number | null) => json.optionalNumber(field, usual);
  const isSecond = pattern === 2;
  return {
    norm: { ...llama.norm, offset: 1 },
    blockNorms: "both",
    embeddingScale: Math.sqrt(llama.hiddenSize),
    queryScalar: json.number("query_pre_attn_scalar", 256),
    attentionSoftCap: cap("attn_logit_softcapping", isSecond ? 50 : null),
    logitSoftCap: cap("final_logit_softcapping", isSecond ? 30 : null),
    mlp: { kind: "gated", gate: json.choice("hidden_activation", { gelu_pytorch_tanh: "gelu_tanh" as const }, "gelu_pytorch_tanh") },
    ...windowOf(json.optionalSize("sliding_window", 4096), parseLayerTypes(json, llama.layers, slidingBut(pattern))),
  };
}

/** What both write. */
function gemmaJSON(config: DecoderConfig): Record<string, unknown> {
  const { layers, layerTypes, slidingWindow } = config;
  const usual: LayerType = slidingWindow === undefined ? "full" : "sliding";
  return {
    query_pre_attn_scalar: config.queryScalar ?? config.headDim,
    attn_logit_softcapping: config.attentionSoftCap ?? null,
    final_logit_softcapping: config.logitSoftCap ?? null,
    sliding_window: slidingWindow ?? null,
    layer_types: layerTypesJSON(layerTypes ?? Array.from({ length: layers }, () => usual)),
  };
}

/** Traits of a new model. */
const published = ({ hiddenSize, layers, headDim }: Pick<DecoderConfig, "hiddenSize" | "layers" | "headDim">, pattern: number) => ({
  ...PLAIN,
  norm: { kind: "rms" as const, eps: 1e-6, offset: 1 },
  blockNorms: "both" as const,
  mlp: { kind: "gated" as const, gate: "gelu_tanh" as const },
  embeddingScale: Math.sqrt(hiddenSize),
  queryScalar: headDim,
  tied: true,
  ...windowOf(
    pattern === 2 ? 4096 : 512,
    Array.from({ length: layers }, (_, layer) => slidingBut(pattern)(layer)),
  ),
});

export const gemma2 = llamaLike({
  modelType: "gemma2",
  architecture: "Gemma2ForCausalLM",
  scoreArchitecture: "Gemma2ForSequenceClassification",
  defaults: { tied: true, eps: 1e-6, theta: 10000, maxPositions: 8192, headDim: 256 },
  activationField: "hidden_activation",
  extend: (json, llama) => parseGemma(json, llama, 2),
  write: gemmaJSON,
  published: (shape) => ({ ...published(shape, 2), positions: ROPE(10000), attentionSoftCap: 50, logitSoftCap: 30 }),
});

/** One base for layers that see everything, another for sliding ones; scaling stretches only the former. */
function gemma3Positions(json: ConfigReader, rotated: number): Positions {
  const parameters = json.object("rope_parameters");
  const global = ropeOf(json, parameters?.object("full_attention"), rotated, { theta: 1e6 });
  const own = parameters?.object("sliding_attention");
  const local = own ? ropeOf(json, own, rotated, { theta: 10000 }) : undefined;
  return { kind: "rope", ...global, local: local ?? { theta: json.number("rope_local_base_freq", 10000), scaling: { type: "default" } } };
}

export const gemma3 = llamaLike({
  modelType: "gemma3_text",
  architecture: "Gemma3ForCausalLM",
  scoreArchitecture: "Gemma3TextForSequenceClassification",
  defaults: { tied: true, eps: 1e-6, theta: 1e6, maxPositions: 131072, headDim: 256 },
  activationField: "hidden_activation",
  extend: (json, llama) => ({
    ...parseGemma(json, llama, json.size(json.has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern", 6)),
    headNorm: "head",
    positions: gemma3Positions(json, llama.headDim),
  }),
  write: (config) => ({
    ...gemmaJSON(config),
    ...(config.positions.kind === "rope" && config.positions.local
      ? { rope_local_base_freq: config.positions.local.theta, rope_scaling: scalingJSON(config.positions.scaling) }
      : {}),
  }),
  published: (shape) => ({
    ...published(shape, 6),
    headNorm: "head",
    positions: { kind: "rope", theta: 1e6, scaling: { type: "default" }, local: { theta: 10000, scaling: { type: "default" } } },
  }),
});
