/** Language models on this machine's disk: Hugging Face directories by path. */
import {
  type Device,
  type LanguageModel,
  loadTokenizer as loadAnyTokenizer,
  loadLanguageModel,
  saveLanguageModel,
  type Tokenizer,
  type WeightOptions,
} from "@trimtab/core";
import { nodeDirectory } from "./files";

/** Loads config.json, safetensors weights (single or sharded) and the tokenizer from a directory. */
export function loadModel(path: string, { device }: { readonly device: Device }): Promise<LanguageModel> {
  return loadLanguageModel(device, nodeDirectory(path));
}

/** Writes a model as a Hugging Face directory that transformers, TRL and vLLM read. */
export function saveModel(model: LanguageModel, path: string, options: WeightOptions = {}): Promise<void> {
  return saveLanguageModel(model, nodeDirectory(path), options);
}

/** Loads tokenizer.json and tokenizer_config.json from a directory. */
export function loadTokenizer(path: string): Promise<Tokenizer> {
  return loadAnyTokenizer(nodeDirectory(path));
}
