/** SmolLM3: a Llama with layers that do not rotate (NoPE), every fourth one as published. */
import { CheckpointError } from "../errors";
import type { DecoderConfig } from "./config";
import type { ConfigReader } from "./family";
import { layerTypesJSON, parseLayerTypes, windowOf } from "./layer-types";
import { llamaLike, PLAIN, ROPE } from "./llama";

/** `no_rope_layers` lists, against its name, 1 for a layer that rotates; without it every `no_rope_layer_interval`-th does not. */
function parseRopeLayers(json: ConfigReader, layers: number): boolean[] {
  const listed = json.list("no_rope_layers");
  const interval = json.size("no_rope_layer_interval", 4);
  if (!listed) return Array.from({ length: layers }, (_, layer) => (layer + 1) % interval !== 0);
  if (listed.length === layers && listed.every((value) => value === 0 || value === 1)) return listed.map((value) => value === 1);
  throw new CheckpointError(
    `config.json: \`no_rope_layers\` must have 0 or 1 for each of the ${layers} layers, got ${JSON.stringify(listed).slice(0, 120)}. Check the file.`,
    { file: "config.json" },
  );
}

function extend(json: ConfigReader, { layers }: DecoderConfig): Partial<DecoderConfig> {
  const ropeLayers = parseRopeLayers(json, layers);
  const all = ropeLayers.every(Boolean) ? {} : { ropeLayers };
  if (!json.boolean("use_sliding_window", false)) return all;
  const types = parseLayerTypes(json, layers, (layer) => (ropeLayers[layer] ? "full" : "sliding"));
  return { ...all, ...windowOf(json.optionalSize("sliding_window"), types) };
}

export const smollm3 = llamaLike({
  modelType: "smollm3",
  architecture: "SmolLM3ForCausalLM",
  scoreArchitecture: "SmolLM3ForSequenceClassification",
  defaults: { tied: true, eps: 1e-6, theta: 2e6, maxPositions: 32768 },
  extend,
  write: ({ layers, bias, ropeLayers, slidingWindow, layerTypes }) => ({
    mlp_bias: bias.mlp,
    no_rope_layers: Array.from({ length: layers }, (_, layer) => (ropeLayers?.[layer] === false ? 0 : 1)),
    use_sliding_window: slidingWindow !== undefined,
    sliding_window: slidingWindow ?? null,
    layer_types: layerTypesJSON(layerTypes ?? Array.from({ length: layers }, () => (slidingWindow === undefined ? "full" : "sliding"))),
  }),
  published: ({ layers }) => {
    const ropeLayers = Array.from({ length: layers }, (_, layer) => (layer + 1) % 4 !== 0);
    return {
      ...PLAIN,
      norm: { kind: "rms", eps: 1e-6 },
      positions: ROPE(2e6),
      tied: true,
      ...(ropeLayers.every(Boolean) ? {} : { ropeLayers }),
    };
  },
});
