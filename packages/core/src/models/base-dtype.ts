/** What the weights of linear layers are kept in while a model is used: names for callers, formats for devices. */
import type { WeightFormatName } from "@trimtab/kernels";
import { ConfigError } from "../errors";
import type { LinearFormat } from "./decoder";

/**
 * In everything but "float32" the linear layers (attention and MLP) are frozen, for inference or under an adapter; embeddings, heads, norms and
 * biases stay in f32, and so do all activations and sums. Bits of a weight, scales included: 32, 16, 16, 8.5, 4.5, 4.5.
 */
export type BaseDtype = "float32" | "float16" | "bfloat16" | "int8" | "nf4" | "int4";

const FORMATS: Readonly<Record<BaseDtype, LinearFormat>> = {
  float32: undefined,
  float16: "f16",
  bfloat16: "bf16",
  int8: "int8",
  nf4: "nf4",
  int4: "int4",
} satisfies Record<BaseDtype, WeightFormatName | undefined>;

/** How a model is loaded. */
export interface PrecisionOptions {
  /** Default "float32". */
  readonly dtype?: BaseDtype | undefined;
}

/** Throws ConfigError for an unknown name. */
export function linearFormat({ dtype = "float32" }: PrecisionOptions): LinearFormat {
  if (Object.hasOwn(FORMATS, dtype)) return FORMATS[dtype];
  throw new ConfigError(`loadModel: \`dtype\` must be one of ${Object.keys(FORMATS).join(", ")}, got ${JSON.stringify(dtype)}.`);
}
