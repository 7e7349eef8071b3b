/** Which layers have a sliding window, in a config.json: `layer_types`, or the rule that a family had before that list existed. */
import { CheckpointError } from "../errors";
import type { LayerType } from "./config";
import type { ConfigReader } from "./family";

const TYPES: Readonly<Record<string, LayerType>> = { full_attention: "full", sliding_attention: "sliding" };

/** The types of `layers` layers; `usual` is the rule where the file has no list. */
export function parseLayerTypes(json: ConfigReader, layers: number, usual: (layer: number) => LayerType): LayerType[] {
  const listed = json.list("layer_types");
  if (!listed) return Array.from({ length: layers }, (_, layer) => usual(layer));
  const types = listed.map((type) => (typeof type === "string" && Object.hasOwn(TYPES, type) ? TYPES[type] : undefined));
  if (types.length === layers && types.every((type) => type !== undefined)) return types as LayerType[];
  throw new CheckpointError(
    `config.json: \`layer_types\` must have one of ${Object.keys(TYPES).join(", ")} for each of the ${layers} layers, got ${JSON.stringify(listed).slice(0, 120)}. Check the file.`,
    { file: "config.json" },
  );
}

/** The window and its layers, where any layer has one. */
export function windowOf(slidingWindow: number | undefined, types: readonly LayerType[] | undefined) {
  if (slidingWindow === undefined || types?.every((type) => type === "full")) return {};
  return types ? { slidingWindow, layerTypes: types } : { slidingWindow };
}

export function layerTypesJSON(types: readonly LayerType[]): string[] {
  return types.map((type) => `${type}_attention`);
}
