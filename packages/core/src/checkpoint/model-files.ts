/** The files of a Hugging Face model directory, as transformers, vLLM and TRL read them. */
import type { DecoderConfig } from "../models/config";
import type { GenerationConfig } from "../models/generation-config";
import { familyOf } from "../models/registry";
import type { Tokenizer } from "../tokenizer";
import { checkpointTensors } from "./decoder-weights";
import type { FileContents } from "./files";
import { jsonBytes } from "./json-file";
import { writeSafetensors } from "./safetensors-writer";
import { SINGLE_FILE } from "./weight-files";

/** What a saved model's weights are stored in. */
export type WeightDtype = "float32" | "float16" | "bfloat16";

const STORED = { float32: "F32", float16: "F16", bfloat16: "BF16" } as const;

/** A model without its weights. */
export interface ModelDescription {
  readonly config: DecoderConfig;
  readonly tokenizer?: Tokenizer | undefined;
  readonly generationConfig?: GenerationConfig | undefined;
}

/** config.json, model.safetensors, generation_config.json for a language model, and tokenizer files where there is a tokenizer; weights are read one by one. */
export function modelFiles(
  model: ModelDescription,
  read: (parameter: string) => Promise<Float32Array> | Float32Array,
  dtype: WeightDtype = "float32",
): Map<string, FileContents> {
  const { config, tokenizer, generationConfig } = model;
  const files = new Map<string, FileContents>();
  files.set(SINGLE_FILE, writeSafetensors(checkpointTensors(config, read, STORED[dtype]), SINGLE_FILE));
  if (tokenizer) {
    files.set("tokenizer.json", jsonBytes(tokenizer.toJSON()));
    files.set("tokenizer_config.json", jsonBytes(tokenizer.toConfigJSON()));
  }
  if (config.head === "lm") files.set("generation_config.json", jsonBytes(generationJson(config, generationConfig)));
  files.set("config.json", jsonBytes({ ...familyOf(config.modelType).toJSON(config), torch_dtype: dtype }));
  return files;
}

function generationJson(config: DecoderConfig, generationConfig: GenerationConfig | undefined): Record<string, unknown> {
  const ids = generationConfig?.eosTokenIds ?? config.eosTokenIds;
  return {
    bos_token_id: config.bosTokenId,
    pad_token_id: config.padTokenId,
    ...generationConfig?.json,
    eos_token_id: ids.length > 1 ? ids : ids[0],
  };
}
