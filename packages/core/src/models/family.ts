/** What a model family must say: how its config.json reads and writes, and what its tensors are called. */
import { describe } from "../checkpoint/json-file";
import { CheckpointError } from "../errors";
import type { DecoderConfig } from "./config";

/** Where one tensor of a checkpoint lies in our parameters. */
export interface TensorPart {
  /** The name in safetensors, e.g. `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string;
  /** Shape in the file. */
  readonly shape: readonly number[];
  /** Our parameter, and the first of its rows that this tensor fills. */
  readonly parameter: string;
  readonly firstRow: number;
  /** The file stores (in, out), we store (out, in): GPT-2's Conv1D. */
  readonly transposed: boolean;
}

/** Traits that a family fixes; what most families lack is optional. */
export type PublishedTraits = Pick<DecoderConfig, "norm" | "positions" | "mlp" | "bias" | "headNorm" | "tied"> & Partial<DecoderConfig>;

export interface Family {
  readonly modelType: string;
  /** The name of the language model in `architectures`, and of the same decoder with a score head. */
  readonly architecture: string;
  readonly scoreArchitecture: string;
  /** What the published models of the family have: traits of a new one of this shape. */
  published(shape: Pick<DecoderConfig, "hiddenSize" | "layers" | "headDim">): PublishedTraits;
  /** Reads config.json; throws CheckpointError naming the field. */
  parse(json: ConfigReader): DecoderConfig;
  /** Writes config.json in the layout that transformers 4 and 5 both read. */
  toJSON(config: DecoderConfig): Record<string, unknown>;
  tensors(config: DecoderConfig): TensorPart[];
  /** The name a tensor goes by in older checkpoints mapped to the current one; undefined for buffers to ignore. */
  canonicalName(name: string): string | undefined;
}

/** Typed access to the fields of a config.json or of a file like it. */
export class ConfigReader {
  readonly #json: Readonly<Record<string, unknown>>;
  readonly #file: string;

  constructor(json: Readonly<Record<string, unknown>>, file = "config.json") {
    this.#json = json;
    this.#file = file;
  }

  /** A positive integer, at most `most`; `fallback` when the field is absent or null. */
  size(field: string, fallback?: number, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.#json[field] ?? fallback;
    const isSize = Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= most;
    if (!isSize)
      throw this.#bad(field, most === Number.MAX_SAFE_INTEGER ? "a positive integer" : `a positive integer up to ${most}`, value);
    return value as number;
  }

  /** An integer of at least 0. */
  count(field: string, fallback: number): number {
    const value = this.#json[field] ?? fallback;
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw this.#bad(field, "an integer of at least 0", value);
    return value as number;
  }

  /** A positive integer, or undefined when null; `fallback` when absent. */
  optionalSize(field: string, fallback?: number): number | undefined {
    if (field in this.#json ? this.#json[field] === null : fallback === undefined) return undefined;
    return this.size(field, fallback);
  }

  /** A positive number, or undefined when null; `fallback` when absent. */
  optionalNumber(field: string, fallback: number | null): number | undefined {
    const value = field in this.#json ? this.#json[field] : fallback;
    if (value === null) return undefined;
    if (typeof value !== "number" || !(value > 0 && value < Number.POSITIVE_INFINITY))
      throw this.#bad(field, "a positive number or null", value);
    return value;
  }

  number(field: string, fallback?: number): number {
    const value = this.#json[field] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.#bad(field, "a number", value);
    return value;
  }

  boolean(field: string, fallback: boolean): boolean {
    const value = this.#json[field] ?? fallback;
    if (typeof value !== "boolean") throw this.#bad(field, "true or false", value);
    return value;
  }

  /** One of a table's keys, mapped to its value. */
  choice<T>(field: string, table: Readonly<Record<string, T>>, fallback?: string): T {
    const value = this.#json[field] ?? fallback;
    if (typeof value !== "string" || !Object.hasOwn(table, value)) throw this.#bad(field, `one of ${Object.keys(table).join(", ")}`, value);
    return table[value] as T;
  }

  /** A token id, or undefined when absent or null. */
  tokenId(field: string): number | undefined {
    return this.tokenIds(field)[0];
  }

  /** Token ids: a number, a list, or nothing. */
  tokenIds(field: string): number[] {
    const value = this.#json[field] ?? [];
    const ids = Array.isArray(value) ? value : [value];
    for (const id of ids) if (!Number.isInteger(id) || id < 0) throw this.#bad(field, "token ids", value);
    return ids as number[];
  }

  /** A nested object, or undefined when absent or null. */
  object(field: string): ConfigReader | undefined {
    const value = this.#json[field] ?? undefined;
    if (value === undefined) return undefined;
    if (typeof value !== "object" || Array.isArray(value)) throw this.#bad(field, "an object", value);
    return new ConfigReader(value as Record<string, unknown>, this.#file);
  }

  /** A list, or undefined when absent or null. */
  list(field: string): readonly unknown[] | undefined {
    const value = this.#json[field] ?? undefined;
    if (value !== undefined && !Array.isArray(value)) throw this.#bad(field, "a list", value);
    return value as readonly unknown[] | undefined;
  }

  /** A list of numbers. */
  numbers(field: string): number[] {
    const value = this.list(field);
    if (!value?.every((number) => typeof number === "number" && Number.isFinite(number)))
      throw this.#bad(field, "a list of numbers", value);
    return value as number[];
  }

  /** The first entry of a list; undefined when absent or empty. */
  first(field: string): unknown {
    const value = this.#json[field];
    return Array.isArray(value) ? value[0] : undefined;
  }

  /** The fields that are there. */
  names(): string[] {
    return Object.keys(this.#json);
  }

  has(field: string): boolean {
    return (this.#json[field] ?? undefined) !== undefined;
  }

  /** Refuses a feature that we do not compute: the field must be absent or one of `allowed`. */
  only(field: string, allowed: readonly unknown[], why: string): void {
    const value = this.#json[field] ?? undefined;
    if (value === undefined || allowed.includes(value)) return;
    const must = allowed.map((v) => JSON.stringify(v)).join(" or ");
    throw new CheckpointError(`${this.#file}: \`${field}\` must be ${must}, got ${describe(value)}. ${why}`, { file: this.#file });
  }

  #bad(field: string, expected: string, got: unknown): CheckpointError {
    return new CheckpointError(`${this.#file}: \`${field}\` must be ${expected}, got ${describe(got)}. Check the file.`, {
      file: this.#file,
    });
  }
}

/** Which head a config.json describes: a score where `architectures` names the family's classification model, which must have one label. */
export function parseHead(json: ConfigReader, scoreArchitecture: string): DecoderConfig["head"] {
  if (json.first("architectures") !== scoreArchitecture) return "lm";
  const labels = json.object("id2label")?.names().length ?? json.size("num_labels", 1);
  if (labels === 1) return "score";
  throw new CheckpointError(`config.json: a score head must have one label, got ${labels} in \`id2label\`. Train it as a regression.`, {
    file: "config.json",
  });
}

/** What config.json says of a head; transformers counts its labels by `id2label`. */
export function headJSON(config: DecoderConfig, names: Pick<Family, "architecture" | "scoreArchitecture">): Record<string, unknown> {
  if (config.head === "lm") return { architectures: [names.architecture] };
  return { architectures: [names.scoreArchitecture], id2label: { 0: "LABEL_0" }, label2id: { LABEL_0: 0 } };
}

/** The special tokens of config.json. */
export function tokenJSON({ bosTokenId, eosTokenIds, padTokenId }: DecoderConfig): Record<string, unknown> {
  return {
    bos_token_id: bosTokenId ?? null,
    eos_token_id: eosTokenIds.length > 1 ? eosTokenIds : (eosTokenIds[0] ?? null),
    pad_token_id: padTokenId ?? null,
  };
}
