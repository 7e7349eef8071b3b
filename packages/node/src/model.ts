/** Language models on this machine's disk: Hugging Face directories by path, whole or as adapters of another one. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import {
  CheckpointError,
  type Device,
  isAdapter,
  type LanguageModel,
  loadAdapterConfig,
  loadTokenizer as loadAnyTokenizer,
  loadLanguageModel,
  saveAdapter,
  saveLanguageModel,
  type Tokenizer,
  type WeightOptions,
  withAdapterFrom,
} from "@trimtab/core";
import { nodeDirectory } from "./files";

/** Loads config.json, safetensors weights (single or sharded) and the tokenizer from a directory; or an adapter, and the base that it names. */
export async function loadModel(path: string, { device }: { readonly device: Device }): Promise<LanguageModel> {
  const directory = nodeDirectory(path);
  if (existsSync(resolve(path, "config.json")) || !(await isAdapter(directory))) return loadLanguageModel(device, directory);
  const base = await loadModel(await basePath(path), { device });
  return withAdapterFrom(base, directory);
}

/** The base that an adapter's directory names: as it is, or from that directory. Throws CheckpointError where neither exists. */
async function basePath(path: string): Promise<string> {
  const { baseModelNameOrPath: name } = await loadAdapterConfig(nodeDirectory(path));
  const found =
    name === undefined ? undefined : [name, resolve(path, name)].find((candidate) => existsSync(resolve(candidate, "config.json")));
  if (found !== undefined) return found;
  throw new CheckpointError(
    `adapter_config.json: \`base_model_name_or_path\` must be the directory of a model on this disk, got ${JSON.stringify(name ?? null)} in ${path}. Name its directory there.`,
    { file: "adapter_config.json" },
  );
}

/** Writes a model as a Hugging Face directory that transformers, TRL and vLLM read, or its adapter alone as PEFT does. */
export function saveModel(model: LanguageModel, path: string, options: WeightOptions = {}): Promise<void> {
  return model.decoder.adapter ? saveAdapter(model, nodeDirectory(path)) : saveLanguageModel(model, nodeDirectory(path), options);
}

/** Loads tokenizer.json and tokenizer_config.json from a directory. */
export function loadTokenizer(path: string): Promise<Tokenizer> {
  return loadAnyTokenizer(nodeDirectory(path));
}
