/** A model from its directory: whole, or an adapter on the base that it names. */
import type { Device } from "@trimtab/kernels";
import { ADAPTER_CONFIG, isAdapter, loadAdapter, loadAdapterConfig } from "../checkpoint/adapter-files";
import type { ReadableDirectory } from "../checkpoint/files";
import { readJson, requireJson } from "../checkpoint/json-file";
import type { PrecisionOptions } from "./base-dtype";
import type { Decoder } from "./decoder";
import { type LanguageModel, loadLanguageModel, loadTokenizer } from "./language-model";
import { newScalarModel } from "./scalar-model";

/** What adapter_config.json says of the model that an adapter belongs to. */
export interface AdapterBase {
  /** A name on the hub, or a path; undefined where the file names none. */
  readonly name: string | undefined;
  /** Branch, tag or commit; undefined: the default one. */
  readonly revision: string | undefined;
  /** The adapter's directory, as its `path` says. */
  readonly adapterPath: string;
}

/** Reads whose adapter a directory holds. Throws CheckpointError for what is no adapter of a kind that is known. */
export async function adapterBase(directory: ReadableDirectory): Promise<AdapterBase> {
  const { baseModelNameOrPath: name, revision } = await loadAdapterConfig(directory);
  return { name, revision, adapterPath: directory.path };
}

/** Finds the directory of an adapter's base. */
export type OpenBase = (base: AdapterBase) => Promise<ReadableDirectory>;

/** A model, and what it stands on. */
export interface LoadedModel {
  readonly model: LanguageModel;
  /** The whole model whose weights an adapted one shares; whoever disposes of the model disposes of it afterwards. */
  readonly base: LanguageModel | undefined;
}

/** Loads what a directory holds; `openBase` is asked where that is an adapter alone. Throws as {@link loadLanguageModel}, and what `openBase` throws. */
export async function loadModelOrAdapter(
  device: Device,
  directory: ReadableDirectory,
  options: PrecisionOptions,
  openBase: OpenBase,
): Promise<LoadedModel> {
  const config = await directory.open("config.json");
  await config?.close();
  if (config || !(await isAdapter(directory))) return { model: await loadLanguageModel(device, directory, options), base: undefined };
  const whole = await loadLanguageModel(device, await openBase(await adapterBase(directory)), options);
  const decoder = await trunkFor(whole, directory);
  if (decoder !== whole.decoder) whole.decoder.dispose();
  try {
    const base = { ...whole, decoder };
    return { model: await adaptedFrom(base, directory), base };
  } catch (error) {
    decoder.dispose();
    throw error;
  }
}

/**
 * Puts the adapter in a directory on a base, whose weights it shares. An adapter of a reward model makes its score head on a language model. The
 * adapter's own tokenizer is taken where it has one.
 */
export async function withAdapterFrom(base: LanguageModel, directory: ReadableDirectory): Promise<LanguageModel> {
  return adaptedFrom({ ...base, decoder: await trunkFor(base, directory) }, directory);
}

/** What the adapter in a directory is put on: the base's decoder, or for an adapter of a reward model a new one like it with a score head. */
async function trunkFor(base: LanguageModel, directory: ReadableDirectory): Promise<Decoder> {
  const { task_type: task } = await requireJson(directory, ADAPTER_CONFIG);
  const isScore = task === "SEQ_CLS" && base.decoder.config.head === "lm";
  return isScore ? newScalarModel(base, 0).decoder : base.decoder;
}

/** {@link withAdapterFrom} on a decoder that has the adapter's head. */
async function adaptedFrom(base: LanguageModel, directory: ReadableDirectory): Promise<LanguageModel> {
  const { decoder } = base;
  const hasTokenizer = (await readJson(directory, "tokenizer.json")) !== undefined;
  const tokenizer = hasTokenizer ? await loadTokenizer(directory) : base.tokenizer;
  return { ...base, tokenizer, decoder: decoder.withAdapter(await loadAdapter(decoder, directory)) };
}
