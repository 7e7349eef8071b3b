/** The model families Trimtab knows, found by `model_type` or `architectures` of a config.json. */
import { describe } from "../checkpoint/json-file";
import { CheckpointError, UnsupportedModelError } from "../errors";
import { type DecoderConfig, rotatedChannels } from "./config";
import { ConfigReader, type Family } from "./family";
import { gemma2, gemma3 } from "./gemma";
import { gpt2 } from "./gpt2";
import { llama } from "./llama";
import { mistral } from "./mistral";
import { olmo2 } from "./olmo2";
import { phi3 } from "./phi3";
import { qwen2, qwen3 } from "./qwen";
import { smollm3 } from "./smollm3";

export const families: readonly Family[] = [gpt2, llama, mistral, qwen2, qwen3, smollm3, gemma2, gemma3, phi3, olmo2];

/** The family of a model type; throws UnsupportedModelError with the list of known ones. */
export function familyOf(modelType: unknown): Family {
  const family = families.find((f) => f.modelType === modelType);
  if (family) return family;
  const known = families.map((f) => `${f.modelType} (${f.architecture})`).join(", ");
  throw new UnsupportedModelError(`config.json: \`model_type\` must be one of ${known}, got ${describe(modelType)}.`);
}

/** Reads a parsed config.json. Throws UnsupportedModelError or CheckpointError naming the field. */
export function parseConfig(json: unknown): DecoderConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new CheckpointError(`config.json: it must be an object, got ${describe(json)}.`, { file: "config.json" });
  }
  const fields = json as Record<string, unknown>;
  const architecture = Array.isArray(fields.architectures) ? fields.architectures[0] : undefined;
  const family =
    architecture === undefined ? undefined : families.find((f) => f.architecture === architecture || f.scoreArchitecture === architecture);
  if (architecture !== undefined && !family) {
    const known = families.flatMap((f) => [f.architecture, f.scoreArchitecture]).join(", ");
    throw new UnsupportedModelError(`config.json: \`architectures\` must be one of ${known}, got ${describe(architecture)}.`);
  }
  const config = (family ?? familyOf(fields.model_type)).parse(new ConfigReader(fields));
  const { hiddenSize, heads, kvHeads, headDim, vocabSize } = config;
  const problems = [
    !Number.isInteger(headDim) && `hidden size ${hiddenSize} must be a multiple of the ${heads} heads`,
    heads % kvHeads !== 0 && `the ${heads} heads must be a multiple of the ${kvHeads} key/value heads`,
    rotatedChannels(config) % 2 !== 0 && `rotary positions need an even number of channels, got ${rotatedChannels(config)}`,
    config.positions.kind === "rope" && rotatedChannels(config) < 2 && `rotary positions need channels, got ${rotatedChannels(config)}`,
    rotatedChannels(config) > headDim && `rotary positions must fit the head size ${headDim}, got ${rotatedChannels(config)} channels`,
    config.eosTokenIds.some((id) => id >= vocabSize) && `every eos_token_id must be below the vocabulary size ${vocabSize}`,
  ].filter((problem) => problem !== false);
  if (problems.length > 0) throw new CheckpointError(`config.json: ${problems.join("; ")}.`, { file: "config.json" });
  return config;
}
