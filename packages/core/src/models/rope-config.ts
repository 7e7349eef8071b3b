/** Rotary positions in a config.json: `rope_theta` and `rope_scaling` of transformers 4, `rope_parameters` of transformers 5. */
import { hostMath, type RopeScaling } from "@trimtab/kernels";
import { CheckpointError } from "../errors";
import type { Positions, Rope } from "./config";
import type { ConfigReader } from "./family";

/** What a family's config.json leaves out. */
interface RopeDefaults {
  readonly theta: number;
}

const TYPES = {
  default: "default",
  linear: "linear",
  dynamic: "dynamic",
  llama3: "llama3",
  yarn: "yarn",
  longrope: "longrope",
  su: "longrope",
} as const;

/** The positions of a model whose layers all turn alike; `headDim` channels a head. */
export function parseRope(json: ConfigReader, headDim: number, defaults: RopeDefaults): Positions & { kind: "rope" } {
  const merged = json.object("rope_parameters");
  const share = (merged?.has("partial_rotary_factor") ? merged : json).number("partial_rotary_factor", 1);
  const rotated = Math.floor(headDim * share);
  return { kind: "rope", ...ropeOf(json, merged, rotated, defaults), ...(rotated === headDim ? {} : { rotated }) };
}

/** Base and scaling from `merged` (of `rope_parameters`), or from the fields of transformers 4. */
export function ropeOf(json: ConfigReader, merged: ConfigReader | undefined, rotated: number, { theta: usual }: RopeDefaults): Rope {
  const theta = merged?.has("rope_theta") ? merged.number("rope_theta") : json.number("rope_theta", usual);
  const fields = merged ?? json.object("rope_scaling");
  return { theta, scaling: fields ? parseScaling(json, fields, rotated) : { type: "default" } };
}

function parseScaling(json: ConfigReader, fields: ConfigReader, rotated: number): RopeScaling {
  const type = fields.choice<(typeof TYPES)[keyof typeof TYPES]>(fields.has("rope_type") ? "rope_type" : "type", TYPES, "default");
  if (type === "default") return { type };
  if (type === "linear" || type === "dynamic") return { type, factor: fields.number("factor") };
  if (type === "llama3") {
    return {
      type,
      factor: fields.number("factor"),
      lowFreqFactor: fields.number("low_freq_factor"),
      highFreqFactor: fields.number("high_freq_factor"),
      originalMaxPositions: fields.size("original_max_position_embeddings"),
    };
  }
  if (type === "yarn") return parseYarn(json, fields);
  const originalMaxPositions = (fields.has("original_max_position_embeddings") ? fields : json).size("original_max_position_embeddings");
  const factor = fields.number("factor", json.size("max_position_embeddings") / originalMaxPositions);
  const usual = factor <= 1 ? 1 : Math.sqrt(1 + hostMath.log(factor) / hostMath.log(originalMaxPositions));
  const factors = (field: string) => {
    const list = fields.numbers(field);
    if (list.length === rotated / 2) return list;
    throw new CheckpointError(
      `config.json: \`${field}\` must have ${rotated / 2} numbers, half of the ${rotated} rotated channels, got ${list.length}. Check the file.`,
      { file: "config.json" },
    );
  };
  return {
    type,
    shortFactors: factors("short_factor"),
    longFactors: factors("long_factor"),
    originalMaxPositions,
    attentionFactor: fields.number("attention_factor", usual),
  };
}

/** What the file leaves out is the paper's: betas 32 and 1, an attention factor of 0.1 log(factor) + 1. */
function parseYarn(json: ConfigReader, fields: ConfigReader): RopeScaling {
  const originalMaxPositions = fields.size("original_max_position_embeddings", json.size("max_position_embeddings"));
  const positive = (field: string, fallback: number) => fields.optionalNumber(field, fallback) ?? fallback;
  const factor = positive("factor", json.size("max_position_embeddings") / originalMaxPositions);
  const scaleOf = (share: number) => (factor <= 1 ? 1 : 0.1 * share * hostMath.log(factor) + 1);
  const [own, all] = [fields.number("mscale", 0), fields.number("mscale_all_dim", 0)];
  const usual = own !== 0 && all !== 0 ? scaleOf(own) / scaleOf(all) : scaleOf(1);
  return {
    type: "yarn",
    factor,
    originalMaxPositions,
    betaFast: positive("beta_fast", 32),
    betaSlow: positive("beta_slow", 1),
    truncate: fields.boolean("truncate", true),
    attentionFactor: positive("attention_factor", usual),
  };
}

/** The fields of transformers 4, which 5 reads as well. */
export function ropeJSON({ theta, scaling, rotated }: Rope & { readonly rotated?: number | undefined }, headDim: number) {
  return {
    rope_theta: theta,
    rope_scaling: scalingJSON(scaling),
    ...(rotated === undefined ? {} : { partial_rotary_factor: rotated / headDim }),
    ...(scaling.type === "longrope" ? { original_max_position_embeddings: scaling.originalMaxPositions } : {}),
  };
}

export function scalingJSON(scaling: RopeScaling): Record<string, unknown> | null {
  switch (scaling.type) {
    case "default":
      return null;
    case "linear":
    case "dynamic":
      return { rope_type: scaling.type, factor: scaling.factor };
    case "llama3":
      return {
        rope_type: "llama3",
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalMaxPositions,
      };
    case "yarn":
      return {
        rope_type: "yarn",
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalMaxPositions,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        attention_factor: scaling.attentionFactor,
        ...(scaling.truncate ? {} : { truncate: false }),
      };
    // Exactly these three: transformers 4 refuses any other field here, and both compute the attention factor from the lengths.
    case "longrope":
      return { type: "longrope", short_factor: scaling.shortFactors, long_factor: scaling.longFactors };
  }
}
