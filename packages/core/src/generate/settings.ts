/** The options of `generate` with defaults filled in, and one check that lists everything wrong with them at once. */
import type { Seed } from "@trimtab/kernels";
import { type ConstrainedTokens, type Constraint, type TokenConstraint, tokenConstraint } from "../constraints/constraint";
import { ConfigError, DataError } from "../errors";
import type { Decoder } from "../models/decoder";
import type { CancelSignal, GenerateOptions, GenerationModel, LogitShift, TextCodec } from "./options";
import { wordsOf } from "./token-mask";

/** {@link SamplingOptions} with defaults filled in and checked. */
export interface Sampling {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly eosTokenIds: ReadonlySet<number>;
  readonly stop: readonly string[];
  readonly seed: Seed;
  readonly topLogprobs: number;
  readonly constraint: TokenConstraint | undefined;
}

/** What all rows of a batch have in common. */
export interface BatchSettings {
  readonly decoder: Decoder;
  readonly logitShift: LogitShift | undefined;
  readonly tokenizer: TextCodec | undefined;
  readonly cacheBytes: number;
  readonly maxRows: number;
  readonly blockSize: number;
  readonly stepsPerRead: number;
  readonly prefillTokens: number;
}

/** Options with defaults filled in and checked. */
export interface Settings extends BatchSettings {
  readonly prompts: readonly Uint32Array[];
  readonly n: number;
  /** Of each prompt's completions. */
  readonly maxNewTokens: readonly number[];
  readonly sampling: Sampling;
  readonly streams: Uint32Array;
  readonly signal: CancelSignal | undefined;
  readonly clock: (() => number) | undefined;
}

const GIB = 2 ** 30;

/** Fills in defaults. Throws ConfigError listing every bad option, DataError for a prompt that cannot be run; `where` begins their messages. */
export function resolveOptions(options: GenerateOptions, where = "generate"): Settings {
  const { decoder, tokenizer, logitShift } = options.model;
  const { vocabSize, maxPositions } = decoder.config;
  const { info, counters } = decoder.device;
  const problems: string[] = [];
  const check = <T>(name: string, value: T, isGood: boolean, expected: string): T => {
    if (!isGood) problems.push(`\`${name}\` must be ${expected}, got ${describe(value)}`);
    return value;
  };
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 1;
  const count = (name: string, value: number) => check(name, value, isCount(value), "a whole number of at least 1");

  const n = count("n", options.n ?? 1);
  const { temperature = 1, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1, seed = 0, stop = [], topLogprobs = 0 } = options;
  check("temperature", temperature, Number.isFinite(temperature) && temperature >= 0, "a finite number of at least 0");
  // Up to here every whole number is an f32.
  check("topK", topK, Number.isInteger(topK) && topK >= 0 && topK <= 2 ** 24, "a whole number from 0 to 16777216");
  check(
    "topLogprobs",
    topLogprobs,
    Number.isInteger(topLogprobs) && topLogprobs >= 0 && topLogprobs <= vocabSize,
    `a whole number from 0 to ${vocabSize}`,
  );
  check("topP", topP, topP > 0 && topP <= 1, "above 0 and at most 1");
  check("minP", minP, minP >= 0 && minP <= 1, "between 0 and 1");
  check("repetitionPenalty", repetitionPenalty, Number.isFinite(repetitionPenalty) && repetitionPenalty > 0, "a finite number above 0");
  const isSeed = typeof seed === "number" ? Number.isSafeInteger(seed) && seed >= 0 : seed.length === 2 && seed.every(isWord);
  check("seed", seed, isSeed, "a whole number of at least 0, or a pair of them below 2^32");
  check(
    "stop",
    stop,
    stop.every((s) => typeof s === "string" && s !== ""),
    "strings that are not empty",
  );
  if (stop.length > 0 && !tokenizer) problems.push("`stop` must come with a model that has a tokenizer, got none");

  const guide = logitShift?.decoder;
  if (guide) {
    const fits = guide.device === decoder.device && guide.config.vocabSize === vocabSize && guide.config.maxPositions >= maxPositions;
    const expected = `a model on the same device with ${vocabSize} tokens and a context of at least ${maxPositions}`;
    check("model.logitShift.decoder", `${guide.config.vocabSize} tokens, context ${guide.config.maxPositions}`, fits, expected);
  }

  const eosTokenIds = options.eosTokenIds ?? options.model.generationConfig?.eosTokenIds ?? decoder.config.eosTokenIds;
  check(
    "eosTokenIds",
    eosTokenIds,
    eosTokenIds.every((id) => isWord(id) && id < vocabSize),
    `token ids below the vocabulary size ${vocabSize}`,
  );

  const { maxNewTokens = 64 } = options;
  const promptCount = options.prompts.length;
  const limits: readonly number[] =
    typeof maxNewTokens === "number" ? new Array(promptCount).fill(count("maxNewTokens", maxNewTokens)) : Array.from(maxNewTokens);
  if (typeof maxNewTokens !== "number") {
    const expected = `whole numbers of at least 1, one for each of the ${promptCount} prompts`;
    check("maxNewTokens", limits, limits.length === promptCount && limits.every(isCount), expected);
  }

  const rows = promptCount * n;
  const streams = options.streams ?? Uint32Array.from({ length: Number.isSafeInteger(rows) ? rows : 0 }, (_, i) => i);
  check("streams", streams.length, streams.length === rows || Number.isNaN(rows), `one for each of the ${rows} completions`);
  if (options.prompts.some((p) => typeof p === "string") && !tokenizer) {
    problems.push("`prompts` must be token ids where the model has no tokenizer, got text");
  }

  const constraint = options.constraint && constraintOn(options.constraint, tokenizer, vocabSize, where);

  const memory = info.memoryBytes === undefined ? GIB : Math.floor((info.memoryBytes - counters.liveBytes) / 2);
  const settings: Omit<Settings, "prompts"> = {
    decoder,
    logitShift,
    tokenizer,
    n,
    maxNewTokens: limits,
    sampling: { temperature, topK, topP, minP, repetitionPenalty, eosTokenIds: new Set(eosTokenIds), stop, seed, topLogprobs, constraint },
    streams,
    signal: options.signal,
    cacheBytes: count("cacheBytes", options.cacheBytes ?? Math.max(1, memory)),
    maxRows: Math.min(count("maxRows", options.maxRows ?? 256), Math.max(1, Math.floor(info.maxBufferBytes / (4 * vocabSize)))),
    blockSize: count("blockSize", options.blockSize ?? 16),
    stepsPerRead: count("stepsPerRead", options.stepsPerRead ?? 8),
    prefillTokens: count("prefillTokens", options.prefillTokens ?? 4096),
    clock: options.clock,
  };
  if (problems.length > 0) throw new ConfigError(`${where}: ${problems.join("; ")}. Correct these options.`);
  return { ...settings, prompts: options.prompts.map((prompt, i) => promptTokens(prompt, i, options.model, where)) };
}

function constraintOn(constraint: Constraint, tokenizer: TextCodec | undefined, vocabSize: number, where: string): TokenConstraint {
  if (tokenizer?.tokenBytes && hasEveryByte(tokenizer as ConstrainedTokens)) {
    return tokenConstraint(constraint, tokenizer as ConstrainedTokens, wordsOf(vocabSize));
  }
  throw new ConfigError(
    `${where}: \`constraint\` must come with a tokenizer that has every byte as a token, got none or one of another kind. Leave it out.`,
  );
}

/** Whether a tokenizer has every byte, looked up once. */
const everyByte = new WeakMap<ConstrainedTokens, boolean>();

/** Bytes that UTF-8 never has do not count. With the others, no text is without a next token. */
function hasEveryByte(tokens: ConstrainedTokens): boolean {
  const known = everyByte.get(tokens);
  if (known !== undefined) return known;
  const missing = new Set(Array.from({ length: 0xf5 }, (_, byte) => byte).filter((byte) => byte !== 0xc0 && byte !== 0xc1));
  for (let id = 0; id < tokens.vocabSize && missing.size > 0; id++) {
    const bytes = tokens.tokenBytes(id);
    if (bytes?.length === 1) missing.delete(bytes[0] as number);
  }
  everyByte.set(tokens, missing.size === 0);
  return missing.size === 0;
}

function promptTokens(prompt: Uint32Array | string, index: number, { decoder, tokenizer }: GenerationModel, where: string): Uint32Array {
  const { vocabSize, maxPositions } = decoder.config;
  const tokens = typeof prompt === "string" ? (tokenizer as TextCodec).encode(prompt) : prompt;
  if (tokens.length === 0) {
    throw new DataError(`${where}: every prompt must have at least one token, got none in prompt ${index}. Begin it with the BOS token.`);
  }
  if (tokens.length >= maxPositions) {
    throw new DataError(
      `${where}: every prompt must leave room for a token in the context of ${maxPositions} tokens, got ${tokens.length} tokens in prompt ${index}. Shorten it.`,
    );
  }
  const bad = tokens.findIndex((token) => token >= vocabSize);
  if (bad >= 0) {
    throw new DataError(
      `${where}: every token must be below the vocabulary size ${vocabSize}, got ${tokens[bad]} at position ${bad} of prompt ${index}. Use the model's own tokenizer.`,
    );
  }
  return tokens;
}

function isWord(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}

function describe(value: unknown): string {
  return typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));
}
