/** Which files of a repository on the Hugging Face hub make a model that Trimtab reads. */
import { HubError } from "../errors";
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS } from "./adapter-files";
import { parseJsonObject } from "./json-file";
import { NORMALIZATION_FILE } from "./reward-normalization";
import { INDEX_FILE, SINGLE_FILE, shardsOfIndex } from "./weight-files";

export const TOKENIZER_FILES: readonly string[] = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "vocab.json",
  "merges.txt",
];

const CONFIG = "config.json";
const SETTINGS: readonly string[] = [CONFIG, ADAPTER_CONFIG, "generation_config.json", NORMALIZATION_FILE];

/** Formats of weights that are not read; the pickles among them can run code. */
const OTHER_WEIGHTS = /\.(bin|pt|pth|ckpt|pkl|h5|msgpack|ot|gguf|onnx)$/;

/**
 * Of the files in a repository (`names`), those that a model is loaded from, small ones first. Where the last is an index, {@link hubShards} belong to
 * them too.
 * Throws HubError for a repository that holds no model, or only one whose weights are not safetensors.
 */
export function hubModelFiles(repository: string, names: readonly string[]): string[] {
  const has = (name: string) => names.includes(name);
  if (!has(CONFIG) && !has(ADAPTER_CONFIG)) {
    throw new HubError(
      `${repository}: the repository must hold a model (${CONFIG}) or an adapter (${ADAPTER_CONFIG}), got ${listed(names)}. Choose another one.`,
      { repository },
    );
  }
  const wanted = has(CONFIG) ? [SINGLE_FILE, INDEX_FILE] : [ADAPTER_WEIGHTS];
  const weights = wanted.find(has);
  if (weights === undefined) {
    const others = names.filter((name) => OTHER_WEIGHTS.test(name));
    throw new HubError(
      `${repository}: its weights must be safetensors (${wanted.join(" or ")}), got ${others.length > 0 ? listed(others) : "none"}. Trimtab reads no pickles, which can run code: take a repository with safetensors, or convert this one (https://huggingface.co/spaces/safetensors/convert opens a pull request, which loads with the revision \`refs/pr/<number>\`).`,
      { repository },
    );
  }
  return [...[...SETTINGS, ...TOKENIZER_FILES].filter(has), weights];
}

/** The shards that an index (its text) names. Throws HubError where the repository lacks one, CheckpointError for an index that is none. */
export function hubShards(repository: string, names: readonly string[], index: string): string[] {
  const shards = shardsOfIndex(parseJsonObject(index, INDEX_FILE));
  const missing = shards.filter((name) => !names.includes(name));
  if (missing.length === 0) return shards;
  throw new HubError(
    `${repository}: every shard that ${INDEX_FILE} names must be there, got no ${listed(missing)}. Choose another revision.`,
    {
      repository,
      file: missing[0],
    },
  );
}

/** True for the index of a model in several files. */
export const isWeightIndex = (name: string): boolean => name === INDEX_FILE;

function listed(names: readonly string[]): string {
  if (names.length === 0) return "no files";
  return names.length > 6 ? `${names.slice(0, 6).join(", ")} and ${names.length - 6} more` : names.join(", ");
}
