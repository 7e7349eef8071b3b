/** Qwen2 and 2.5 (query/key/value biases), and Qwen3 (norms of each head); upper layers may have a sliding window. */
import type { DecoderConfig } from "./config";
import type { ConfigReader } from "./family";
import { layerTypesJSON, parseLayerTypes, windowOf } from "./layer-types";
import { llamaLike, PLAIN, ROPE } from "./llama";

/** Layers from `max_window_layers` on slide, where `use_sliding_window` says so. */
function parseWindow(json: ConfigReader, { layers }: DecoderConfig): Partial<DecoderConfig> {
  if (!json.boolean("use_sliding_window", false)) return {};
  const firstSliding = json.count("max_window_layers", 28);
  const types = parseLayerTypes(json, layers, (layer) => (layer >= firstSliding ? "sliding" : "full"));
  return windowOf(json.optionalSize("sliding_window", 4096), types);
}

function windowJSON({ layers, slidingWindow, layerTypes }: DecoderConfig): Record<string, unknown> {
  if (slidingWindow === undefined) return { use_sliding_window: false, sliding_window: null };
  const types = layerTypes ?? Array.from({ length: layers }, () => "sliding" as const);
  return {
    use_sliding_window: true,
    sliding_window: slidingWindow,
    max_window_layers: types.indexOf("sliding"),
    layer_types: layerTypesJSON(types),
  };
}

export const qwen2 = llamaLike({
  modelType: "qwen2",
  architecture: "Qwen2ForCausalLM",
  scoreArchitecture: "Qwen2ForSequenceClassification",
  defaults: { tied: false, eps: 1e-6, theta: 10000, maxPositions: 32768 },
  extend: (json, llama) => ({ bias: { qkv: true, out: false, mlp: false }, ...parseWindow(json, llama) }),
  write: (config) => ({ attention_bias: undefined, ...windowJSON(config) }),
  published: () => ({
    ...PLAIN,
    norm: { kind: "rms", eps: 1e-6 },
    positions: ROPE(1e6),
    bias: { qkv: true, out: false, mlp: false },
    tied: true,
  }),
});

export const qwen3 = llamaLike({
  modelType: "qwen3",
  architecture: "Qwen3ForCausalLM",
  scoreArchitecture: "Qwen3ForSequenceClassification",
  defaults: { tied: false, eps: 1e-6, theta: 10000, maxPositions: 32768, headDim: 128 },
  extend: (json, llama) => ({ headNorm: "head", ...parseWindow(json, llama) }),
  write: windowJSON,
  published: () => ({ ...PLAIN, norm: { kind: "rms", eps: 1e-6 }, positions: ROPE(1e6), headNorm: "head", tied: true }),
});
