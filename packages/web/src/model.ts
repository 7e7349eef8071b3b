/** Language models on the calling thread, from and to the places of a browser. */
import {
  ConfigError,
  type Device,
  type HubPlace,
  type LanguageModel,
  loadTokenizer as loadAnyTokenizer,
  loadModelOrAdapter,
  type PrecisionOptions,
  saveLanguageModel,
  type Tokenizer,
  type WeightDtype,
} from "@trimtab/core";
import { openBase } from "./files/base";
import { openPlace, type Place } from "./files/place";

/** Of a model on the hub that is given by its name; the same in Node. */
export type HubOptions = Omit<HubPlace, "hub">;

/**
 * Loads config.json, safetensors weights (single or sharded) and the tokenizer, or an adapter and the base that it names on the hub, from a directory
 * or, e.g. `"org/name"`, from the Hugging Face hub. Throws CheckpointError for what the files hold, HubError for what the hub refuses. With a `dtype` below "float32" the linear layers are frozen, for
 * inference or an adapter.
 */
export async function loadModel(
  from: Place,
  { device, dtype, ...hub }: HubOptions & PrecisionOptions & { readonly device: Device },
): Promise<LanguageModel> {
  const place = withOptions(from, hub);
  return (await loadModelOrAdapter(device, await openPlace(place), { dtype }, (base) => openBase(place, base))).model;
}

/** Writes a model as a Hugging Face directory that transformers, TRL and vLLM read; `dtype` is that of the weights, default f32. */
export async function saveModel(model: LanguageModel, to: Place, options: { readonly dtype?: WeightDtype } = {}): Promise<void> {
  await saveLanguageModel(model, await openPlace(to), options);
}

/** Loads tokenizer.json and tokenizer_config.json from a directory. */
export async function loadTokenizer(from: Place, hub: HubOptions = {}): Promise<Tokenizer> {
  return loadAnyTokenizer(await openPlace(withOptions(from, hub)));
}

/** Throws ConfigError for options of the hub beside another place. */
function withOptions(from: Place, hub: HubOptions): Place {
  if (Object.values(hub).every((value) => value === undefined)) return from;
  if (typeof from === "string") return { ...hub, hub: from };
  throw new ConfigError(
    `loadModel: ${Object.keys(hub).join(", ")} must come with a name on the hub, got another place. Leave them out, or put them into \`{ hub }\`.`,
  );
}
