/** A decoder with its tokenizer: from a Hugging Face directory, to one, or made from scratch. */
import { type Device, TrimtabError } from "@trimtab/kernels";
import { loadConfig, loadDecoder } from "../checkpoint/decoder-weights";
import { type ReadableDirectory, readFile, type WritableDirectory } from "../checkpoint/files";
import { readJson, readText } from "../checkpoint/json-file";
import { adaptedModelFiles, modelFiles, type WeightOptions } from "../checkpoint/model-files";
import { parameterReader } from "../checkpoint/read-parameter";
import { requireRoom } from "../checkpoint/room";
import { INDEX_FILE, SINGLE_FILE } from "../checkpoint/weight-files";
import { CheckpointError, ConfigError } from "../errors";
import { Tokenizer, type TokenizerConfigJson } from "../tokenizer";
import { linearFormat, type PrecisionOptions } from "./base-dtype";
import type { DecoderConfig } from "./config";
import { Decoder } from "./decoder";
import { type GenerationConfig, parseGenerationConfig } from "./generation-config";
import { familyOf, parseConfig } from "./registry";

export interface LanguageModel {
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
  readonly generationConfig: GenerationConfig;
}

/**
 * Reads config.json, tokenizer files, generation_config.json and weights. Everything small is read and checked before the weights are
 * touched. Weights are brought to `dtype` one tensor at a time, so that the peak is the model in `dtype` and one tensor. The caller disposes of the
 * decoder. Throws ConfigError for an unknown `dtype`, and for weights beyond its range.
 */
export async function loadLanguageModel(
  device: Device,
  directory: ReadableDirectory,
  options: PrecisionOptions = {},
): Promise<LanguageModel> {
  const format = linearFormat(options);
  const tokenizer = await loadTokenizer(directory);
  const json = await readJson(directory, "generation_config.json");
  const stored = parseGenerationConfig(json ?? {});
  requireVocabulary(tokenizer, await loadConfig(directory));
  const decoder = await loadDecoder(device, directory, format);
  return { decoder, tokenizer, generationConfig: withEnd(stored, decoder.config, tokenizer) };
}

/**
 * Writes a Hugging Face directory. Weights are stored in f32 unless `dtype` asks for less, in one file unless they exceed `maxShardBytes`; what is
 * in low precision on the device is written with the values that it stands for.
 */
export async function saveLanguageModel(model: LanguageModel, directory: WritableDirectory, options: WeightOptions = {}): Promise<void> {
  const { decoder, tokenizer, generationConfig } = model;
  const { config, adapter } = decoder;
  if (adapter) {
    throw new ConfigError(
      "saveLanguageModel: the model must be whole, got one with an adapter. Write the adapter with saveAdapter, or merge it first.",
    );
  }
  const files = modelFiles({ config, tokenizer, generationConfig }, parameterReader(decoder), options);
  // Readers prefer one file to an index, and an older one must not stand for these weights.
  await directory.write(files, { remove: [SINGLE_FILE, INDEX_FILE] });
}

/** Writes the adapter alone as PEFT's directory, with the tokenizer. Throws ConfigError where the model has none. */
export async function saveAdapter(
  { decoder, tokenizer }: Omit<LanguageModel, "generationConfig">,
  directory: WritableDirectory,
): Promise<void> {
  const { adapter, config, device } = decoder;
  if (!adapter) throw new ConfigError("saveAdapter: the model must have an adapter, got none. Write it with saveLanguageModel.");
  const read = async (name: string) => (await device.read(adapter.parameters.get(name).value)) as Float32Array;
  await directory.write(adaptedModelFiles({ config, tokenizer }, adapter, read));
}

/** Throws CheckpointError where the tokenizer has ids that the embedding has no row for. */
function requireVocabulary({ vocabSize }: Tokenizer, config: DecoderConfig): void {
  if (vocabSize <= config.vocabSize) return;
  const tensor = familyOf(config.modelType)
    .tensors({ ...config, layers: 1 })
    .find(({ parameter }) => parameter === "embedding")?.name as string;
  throw new CheckpointError(
    `tokenizer.json: its ids must be below the ${config.vocabSize} rows of "${tensor}", got a vocabulary of ${vocabSize}. The files do not belong together, or tokens were added without resizing the model.`,
    { file: "tokenizer.json", tensor },
  );
}

/** tokenizer.json with tokenizer_config.json, special_tokens_map.json and chat_template.jinja; or GPT-2's vocab.json and merges.txt. */
export async function loadTokenizer(directory: ReadableDirectory): Promise<Tokenizer> {
  const names = await readJson(directory, "special_tokens_map.json");
  const settings = await readJson(directory, "tokenizer_config.json");
  const template = await readText(directory, "chat_template.jinja");
  const config: TokenizerConfigJson = { ...names, ...settings, ...(template === undefined ? {} : { chat_template: template }) };
  const bytes = await readFile(directory, "tokenizer.json");
  if (bytes) return checked("tokenizer.json", () => Tokenizer.parse(bytes, config));
  const vocab = await readJson(directory, "vocab.json");
  const merges = await readText(directory, "merges.txt");
  if (vocab && merges !== undefined) {
    const hasConfig = names !== undefined || settings !== undefined;
    return checked("vocab.json", () => Tokenizer.fromGpt2Files(vocab as Record<string, number>, merges, ...(hasConfig ? [config] : [])));
  }
  throw new CheckpointError(
    `tokenizer.json: a tokenizer must be in tokenizer.json, or in vocab.json and merges.txt, got neither in ${directory.path}. Add it to the directory.`,
    { file: "tokenizer.json" },
  );
}

/** Shape of a new model; everything else has the defaults of its family. */
export type NewModelConfig = Partial<DecoderConfig> & Pick<DecoderConfig, "hiddenSize" | "layers" | "heads">;

/**
 * A model with random weights: Llama unless `modelType` says otherwise, an embedding for the tokenizer's vocabulary, and its end of text.
 * The same seed gives the same bits on every device. Throws ConfigError naming what does not fit.
 */
export function newLanguageModel(device: Device, shape: NewModelConfig, tokenizer: Tokenizer, seed: number): LanguageModel {
  const config = newConfig(shape, tokenizer);
  requireRoom(device, config);
  const decoder = new Decoder(device, config);
  decoder.parameters.initialise(seed);
  return { decoder, tokenizer, generationConfig: withEnd({ eosTokenIds: undefined, json: {} }, config, tokenizer) };
}

function newConfig(shape: NewModelConfig, tokenizer: Tokenizer): DecoderConfig {
  const { modelType = "llama", hiddenSize, layers, heads } = shape;
  const family = familyOf(modelType);
  const headDim = shape.headDim ?? hiddenSize / heads;
  const traits = family.published({ hiddenSize, layers, headDim });
  // Llama's rule: two thirds of four times the width, up to a multiple of 16, so that three matrices weigh what two did.
  const intermediateSize = traits.mlp.kind === "gated" ? 16 * Math.ceil((8 * hiddenSize) / 48) : 4 * hiddenSize;
  const config: DecoderConfig = {
    ...traits,
    modelType,
    vocabSize: tokenizer.vocabSize,
    hiddenSize,
    intermediateSize,
    layers,
    heads,
    kvHeads: shape.heads,
    headDim,
    maxPositions: 1024,
    head: "lm",
    initializerRange: 0.02,
    bosTokenId: tokenizer.bosTokenId,
    eosTokenIds: tokenizer.eosTokenId === undefined ? [] : [tokenizer.eosTokenId],
    padTokenId: tokenizer.padTokenId,
    ...Object.fromEntries(Object.entries(shape).filter(([, value]) => value !== undefined)),
  };
  if (config.vocabSize < tokenizer.vocabSize) {
    throw new ConfigError(
      `newLanguageModel: vocabSize must be at least the tokenizer's ${tokenizer.vocabSize}, got ${config.vocabSize}. Leave it out to use the tokenizer's.`,
    );
  }
  try {
    // Through config.json and back, so that a new model is checked as a loaded one is, and what is saved is what was trained.
    return parseConfig(family.toJSON(config));
  } catch (cause) {
    throw new ConfigError(`newLanguageModel: the configuration must make a ${modelType} model, got: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Without any end-of-text in model and generation configuration, the tokenizer's. */
function withEnd(stored: GenerationConfig, config: DecoderConfig, tokenizer: Tokenizer): GenerationConfig {
  const { eosTokenId } = tokenizer;
  if (stored.eosTokenIds !== undefined || config.eosTokenIds.length > 0 || eosTokenId === undefined) return stored;
  return { ...stored, eosTokenIds: [eosTokenId] };
}

function checked(file: string, make: () => Tokenizer): Tokenizer {
  try {
    return make();
  } catch (cause) {
    if (cause instanceof TrimtabError) throw cause;
    if (cause instanceof SyntaxError) {
      throw new CheckpointError(`${file}: it must be JSON, got ${cause.message}. Get the file again.`, { file }, { cause });
    }
    throw new CheckpointError(
      `${file}: it must describe a tokenizer, got: ${(cause as Error).message}. Get the file again.`,
      { file },
      { cause },
    );
  }
}
