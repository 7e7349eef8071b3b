/** Language models by path or by their name on the hub: Hugging Face directories, whole or as adapters of another model. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import {
  type AdapterBase,
  CheckpointError,
  ConfigError,
  type Device,
  HubError,
  type HubPlace,
  type LanguageModel,
  loadTokenizer as loadAnyTokenizer,
  loadModelOrAdapter,
  type PrecisionOptions,
  parseHubName,
  type ReadableDirectory,
  saveAdapter,
  saveLanguageModel,
  type Tokenizer,
  type WeightOptions,
} from "@trimtab/core";
import { nodeDirectory } from "./files";
import { type HubContents, type HubOptions, hubSnapshot } from "./hub/hub-snapshot";

/** The directory of a model; or its name on the Hugging Face hub, `org/name` or `org/name@revision`, where there is no such directory. */
export type ModelPlace = string | HubPlace;

/**
 * Loads config.json, safetensors weights (single or sharded) and the tokenizer; or an adapter, and the base that it names. Models of the hub are
 * downloaded into the Hugging Face cache, by the rules and variables of Python's huggingface_hub. Throws what {@link modelDirectory} throws, and
 * CheckpointError for what the files hold. With a `dtype` below "float32" the linear layers are frozen, for inference or an adapter.
 */
export async function loadModel(
  from: ModelPlace,
  { device, dtype, ...hub }: HubOptions & PrecisionOptions & { readonly device: Device },
): Promise<LanguageModel> {
  const directory = nodeDirectory(await modelDirectory(from, hub));
  return (await loadModelOrAdapter(device, directory, { dtype }, (base) => baseDirectory(from, base, hub))).model;
}

/** The directory of the base that the adapter at `from` names, after a download where it comes from the hub: the adapter's, where that is another one. */
export async function baseDirectory(from: ModelPlace, base: AdapterBase, hub: HubOptions): Promise<ReadableDirectory> {
  const { endpoint, token } = typeof from === "string" ? hub : { ...hub, ...from };
  const { from: found, revision } = baseOf(base);
  return nodeDirectory(await modelDirectory(found, { ...hub, endpoint, token, revision }));
}

/**
 * Where the files of a model are on this disk, after a download where they come from the hub.
 *
 * Throws HubError for what the hub refuses or lacks, StorageError where there is no room, ConfigError for a revision of a directory.
 */
export async function modelDirectory(from: ModelPlace, options: HubOptions = {}, contents: HubContents = "model"): Promise<string> {
  if (typeof from !== "string") {
    const { hub, ...own } = from;
    return hubSnapshot(hub, { ...options, ...own }, contents);
  }
  if (isOnHub(from)) {
    return hubSnapshot(from, options, contents).catch((error: unknown) => {
      if (!(error instanceof HubError) || error.file !== undefined) throw error;
      throw new HubError(
        `${error.message} There is no directory ${from} here either.`,
        { repository: error.repository as string, status: error.status },
        { cause: error },
      );
    });
  }
  if (options.revision !== undefined) {
    throw new ConfigError(
      `modelDirectory: a revision must be of a model on the hub, got ${JSON.stringify(options.revision)} of ${existsSync(from) ? `the directory ${from}` : JSON.stringify(from)}. Leave it out, or name the model \`org/name\`.`,
    );
  }
  return from;
}

/** True for a name that is no directory here but may be one of the hub. */
export function isOnHub(name: string): boolean {
  return !existsSync(name) && parseHubName(name) !== undefined;
}

/** The base that an adapter's directory names: a directory as it is, or from the adapter's own; else one of the hub. Throws CheckpointError for neither. */
export function baseOf({ name, revision, adapterPath }: AdapterBase): { readonly from: string; readonly revision?: string | undefined } {
  const found =
    name === undefined ? undefined : [name, resolve(adapterPath, name)].find((candidate) => existsSync(resolve(candidate, "config.json")));
  if (found !== undefined) return { from: found };
  if (name !== undefined && isOnHub(name)) return { from: name, revision };
  throw new CheckpointError(
    `adapter_config.json: \`base_model_name_or_path\` must be the directory of a model on this disk or a name on the hub, got ${JSON.stringify(name ?? null)} in ${adapterPath}. Name its directory there.`,
    { file: "adapter_config.json" },
  );
}

/** Writes a model as a Hugging Face directory that transformers, TRL and vLLM read, or its adapter alone as PEFT does. */
export function saveModel(model: LanguageModel, path: string, options: WeightOptions = {}): Promise<void> {
  return model.decoder.adapter ? saveAdapter(model, nodeDirectory(path)) : saveLanguageModel(model, nodeDirectory(path), options);
}

/** Loads tokenizer.json and tokenizer_config.json, or GPT-2's files; of a model on the hub no other files are downloaded. */
export async function loadTokenizer(from: ModelPlace, hub: HubOptions = {}): Promise<Tokenizer> {
  return loadAnyTokenizer(nodeDirectory(await modelDirectory(from, hub, "tokenizer")));
}
