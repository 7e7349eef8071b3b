/** Language models on the calling thread, from and to the places of a browser. */
import {
  type Device,
  type LanguageModel,
  loadTokenizer as loadAnyTokenizer,
  loadLanguageModel,
  saveLanguageModel,
  type Tokenizer,
  type WeightDtype,
} from "@trimtab/core";
import { openPlace, type Place } from "./files/place";

/** Loads config.json, safetensors weights (single or sharded) and the tokenizer from a directory. */
export async function loadModel(from: Place, { device }: { readonly device: Device }): Promise<LanguageModel> {
  return loadLanguageModel(device, await openPlace(from));
}

/** Writes a model as a Hugging Face directory that transformers, TRL and vLLM read; `dtype` is that of the weights, default f32. */
export async function saveModel(model: LanguageModel, to: Place, options: { readonly dtype?: WeightDtype } = {}): Promise<void> {
  await saveLanguageModel(model, await openPlace(to), options);
}

/** Loads tokenizer.json and tokenizer_config.json from a directory. */
export async function loadTokenizer(from: Place): Promise<Tokenizer> {
  return loadAnyTokenizer(await openPlace(from));
}
