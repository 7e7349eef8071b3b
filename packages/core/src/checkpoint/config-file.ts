/** config.json as Python reads it: reals have a point. */
import { textBytes } from "./json-file";

/** Reals of config.json. transformers 5 checks the types of fields, and to it 30 is no real where 30.0 is one. */
const REALS = [
  "attention_dropout",
  "attention_factor",
  "attn_logit_softcapping",
  "attn_pdrop",
  "beta_fast",
  "beta_slow",
  "embd_pdrop",
  "factor",
  "final_logit_softcapping",
  "high_freq_factor",
  "initializer_range",
  "layer_norm_epsilon",
  "low_freq_factor",
  "partial_rotary_factor",
  "resid_pdrop",
  "rms_norm_eps",
  "rope_local_base_freq",
  "rope_theta",
];
/** Such a field with a whole number, on the line that indented JSON gives it. */
const WHOLE = new RegExp(`^( *"(?:${REALS.join("|")})": -?\\d+)(?=,?$)`, "gm");

/** UTF-8 of config.json. */
export function configBytes(config: Record<string, unknown>): Uint8Array<ArrayBuffer> {
  return textBytes(`${JSON.stringify(config, null, 2).replace(WHOLE, "$1.0")}\n`);
}
