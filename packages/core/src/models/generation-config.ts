/** generation_config.json: which tokens end a text; other fields are kept as they are. */
import { ConfigReader } from "./family";

export interface GenerationConfig {
  /** Undefined: the model's own. */
  readonly eosTokenIds: readonly number[] | undefined;
  /** The whole file. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** Reads a parsed generation_config.json; throws CheckpointError naming the field. */
export function parseGenerationConfig(json: Readonly<Record<string, unknown>>): GenerationConfig {
  const reader = new ConfigReader(json, "generation_config.json");
  return { eosTokenIds: reader.has("eos_token_id") ? reader.tokenIds("eos_token_id") : undefined, json };
}
