/** The files of a Hugging Face model directory, as transformers, vLLM and TRL read them. */

import { elementCount } from "@trimtab/kernels";
import { ConfigError } from "../errors";
import type { DecoderConfig } from "../models/config";
import type { GenerationConfig } from "../models/generation-config";
import type { Lora } from "../models/lora";
import { familyOf } from "../models/registry";
import type { Tokenizer } from "../tokenizer";
import { adapterFiles } from "./adapter-files";
import { configBytes } from "./config-file";
import { checkpointTensors } from "./decoder-weights";
import type { FileContents } from "./files";
import { jsonBytes } from "./json-file";
import { DTYPE_BYTES } from "./safetensors-header";
import { type WrittenTensor, writeSafetensors } from "./safetensors-writer";
import { INDEX_FILE, SINGLE_FILE } from "./weight-files";

/** What a saved model's weights are stored in. */
export type WeightDtype = "float32" | "float16" | "bfloat16";

const STORED = { float32: "F32", float16: "F16", bfloat16: "BF16" } as const;

/** A model without its weights. */
export interface ModelDescription {
  readonly config: DecoderConfig;
  readonly tokenizer?: Tokenizer | undefined;
  readonly generationConfig?: GenerationConfig | undefined;
  /** What is trained instead of the weights; its files then stand for the model's. */
  readonly adapter?: Lora | undefined;
}

/** How weights are stored. */
export interface WeightOptions {
  /** Default "float32". */
  readonly dtype?: WeightDtype | undefined;
  /** Most bytes of tensors in one file, above which there are several and an index; a larger tensor has a file of its own. Default 5e9, as in transformers 4. */
  readonly maxShardBytes?: number | undefined;
}

/** config.json, model.safetensors (or shards and their index), generation_config.json for a language model, and tokenizer files where there is a tokenizer; weights are read one by one. */
export function modelFiles(
  model: ModelDescription,
  read: (parameter: string) => Promise<Float32Array> | Float32Array,
  { dtype = "float32", maxShardBytes = 5e9 }: WeightOptions = {},
): Map<string, FileContents> {
  const { config, tokenizer, generationConfig } = model;
  const files = new Map<string, FileContents>();
  const shards = shardsOf(checkpointTensors(config, read, STORED[dtype]), maxShardBytes);
  for (const [name, tensors] of shards) files.set(name, writeSafetensors(tensors, name));
  if (shards.size > 1) files.set(INDEX_FILE, jsonBytes(indexJson(shards)));
  addTokenizer(files, tokenizer);
  if (config.head === "lm") files.set("generation_config.json", jsonBytes(generationJson(config, generationConfig)));
  files.set("config.json", configBytes({ ...familyOf(config.modelType).toJSON(config), torch_dtype: dtype }));
  return files;
}

/** The files of an adapter with those of its tokenizer, as TRL writes them; `read` gives the adapter's parameters. */
export function adaptedModelFiles(
  { tokenizer }: ModelDescription,
  adapter: Lora,
  read: (parameter: string) => Promise<Float32Array> | Float32Array,
): Map<string, FileContents> {
  const files = adapterFiles(adapter, read);
  addTokenizer(files, tokenizer);
  return files;
}

function addTokenizer(files: Map<string, FileContents>, tokenizer: Tokenizer | undefined): void {
  if (!tokenizer) return;
  files.set("tokenizer.json", jsonBytes(tokenizer.toJSON()));
  files.set("tokenizer_config.json", jsonBytes(tokenizer.toConfigJSON()));
}

const bytesOf = ({ dtype, shape }: WrittenTensor): number => DTYPE_BYTES[dtype] * elementCount(shape);

/** Tensors by file, in order: as many to a file as fit. */
function shardsOf(tensors: readonly WrittenTensor[], maxBytes: number): Map<string, readonly WrittenTensor[]> {
  if (!(maxBytes > 0)) throw new ConfigError(`modelFiles: maxShardBytes must be above 0, got ${maxBytes}. Leave it out for 5e9.`);
  const shards: WrittenTensor[][] = [[]];
  let size = 0;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    if (size > 0 && size + bytes > maxBytes) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)?.push(tensor);
    size += bytes;
  }
  if (shards.length === 1) return new Map([[SINGLE_FILE, shards[0] as WrittenTensor[]]]);
  const number = (i: number) => String(i).padStart(5, "0");
  return new Map(shards.map((shard, i) => [`model-${number(i + 1)}-of-${number(shards.length)}.safetensors`, shard]));
}

function indexJson(shards: ReadonlyMap<string, readonly WrittenTensor[]>): Record<string, unknown> {
  const all = [...shards.values()].flat();
  return {
    metadata: { total_size: all.reduce((sum, tensor) => sum + bytesOf(tensor), 0) },
    weight_map: Object.fromEntries([...shards].flatMap(([file, tensors]) => tensors.map(({ name }) => [name, file]))),
  };
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
