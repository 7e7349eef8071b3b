/** Byte-pair tokenizers: trained here or read from Hugging Face's tokenizer.json. */
import { BytePairEncoder, trainBytePairs, utf8Decoder } from "@trimtab/kernels";
import { AddedTokenSplitter, type Segment } from "./added-tokens";
import { byteCharacters, bytesInOrder, tokenOfBytes } from "./byte-alphabet";
import { DecodeStream } from "./decode-stream";
import {
  type Normalizer,
  type PreTokenizer,
  readDecoder,
  readNormalizer,
  readPostProcessor,
  readPreTokenizer,
  type Surroundings,
} from "./pipeline";
import { TokenizerError } from "./tokenizer-error";
import type { AddedTokenJson, TokenizerConfigJson, TokenizerJson, TokenNameJson } from "./tokenizer-json";
import { readVocabulary } from "./vocabulary";

/** Options of {@link Tokenizer.train}. */
export interface TrainTokenizerOptions {
  /** Tokens in all: special tokens, 256 bytes, and as many merges as fit. Fewer when pairs run out. */
  readonly vocabSize: number;
  /** Ids 0, 1, ...; default `["<|endoftext|>"]`. They are cut out of the training text. */
  readonly specialTokens?: readonly string[];
  /** Pairs that occur less often are not merged; default 2. */
  readonly minFrequency?: number;
  /** Default "<|endoftext|>" where that is a special token. */
  readonly eosToken?: string;
  readonly bosToken?: string;
  readonly padToken?: string;
  /** Jinja source for `chatTemplate`. */
  readonly chatTemplate?: string;
}

/** Options of {@link Tokenizer.encode}. */
export interface EncodeOptions {
  /** Put the tokens round the text that the file's post-processor asks for; default true, as in transformers. */
  readonly addSpecialTokens?: boolean;
  /** Treat special tokens written in the text as ordinary characters (for text from outside); default false, as in transformers. */
  readonly splitSpecialTokens?: boolean;
}

/** Options of {@link Tokenizer.decode}. */
export interface DecodeOptions {
  /** Leave special tokens out; default false. */
  readonly skipSpecialTokens?: boolean;
}

const nameOf = (token: TokenNameJson | undefined) => (token == null ? undefined : typeof token === "string" ? token : token.content);

/** A vocabulary with its text pipeline. Immutable; each holds its own WebAssembly instance. */
export class Tokenizer {
  /** Rows an embedding needs: the highest id + 1, added tokens included. */
  readonly vocabSize: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly unkTokenId: number | undefined;
  /** Ids of special tokens. */
  readonly specialTokenIds: ReadonlySet<number>;
  /** Jinja source of the chat template, as the configuration has it. */
  readonly chatTemplate: string | undefined;

  private readonly json: TokenizerJson;
  private readonly config: TokenizerConfigJson;
  private readonly encoder: BytePairEncoder;
  private readonly tokens: readonly (string | undefined)[];
  private readonly ids: ReadonlyMap<string, number>;
  private readonly normalize: Normalizer;
  private readonly preTokenizer: PreTokenizer;
  private readonly surroundings: Surroundings;
  private readonly stripStart: number;
  private readonly pieces: readonly Uint8Array[];
  /** Added tokens by stage (raw, then normalized text), with and without the special ones. */
  private readonly splitters: Record<"all" | "ordinary", { raw: AddedTokenSplitter; normalized: AddedTokenSplitter | undefined }>;

  private constructor(json: TokenizerJson, config: TokenizerConfigJson) {
    this.json = json;
    this.config = config;
    const added = addedTokens(json, config);
    const decoder = readDecoder(json.decoder);
    this.normalize = readNormalizer(json.normalizer);
    this.preTokenizer = readPreTokenizer(json.pre_tokenizer);
    this.surroundings = readPostProcessor(json.post_processor);
    this.stripStart = decoder.stripStart;
    const { model, tokens, ids } = readVocabulary(json, added, this.preTokenizer, decoder);
    this.tokens = tokens;
    this.ids = ids;
    this.pieces = model.pieces;
    this.encoder = new BytePairEncoder(model);
    this.vocabSize = tokens.length;
    this.specialTokenIds = new Set(added.filter(({ special }) => special).map(({ id }) => id));

    const splitter = (among: readonly AddedTokenJson[]) => {
      const late = among.filter(({ normalized }) => normalized);
      return {
        raw: new AddedTokenSplitter(among.filter(({ normalized }) => !normalized)),
        normalized: late.length === 0 ? undefined : new AddedTokenSplitter(late, this.normalize),
      };
    };
    this.splitters = { all: splitter(added), ordinary: splitter(added.filter(({ special }) => !special)) };

    const idOf = (field: "bos_token" | "eos_token" | "pad_token" | "unk_token") => {
      const name = nameOf(config[field]);
      return name === undefined ? undefined : this.ids.get(name);
    };
    this.bosTokenId = idOf("bos_token");
    this.eosTokenId = idOf("eos_token");
    this.padTokenId = idOf("pad_token");
    this.unkTokenId = idOf("unk_token") ?? model.unknownId;
    const template = config.chat_template ?? undefined;
    this.chatTemplate = Array.isArray(template) ? (template.find(({ name }) => name === "default") ?? template[0])?.template : template;
  }

  /** Reads a parsed tokenizer.json, and tokenizer_config.json for the names of special tokens and the chat template. */
  static fromJSON(json: TokenizerJson, config: TokenizerConfigJson = {}): Tokenizer {
    return new Tokenizer(json, config);
  }

  /** Reads GPT-2's own two files: the parsed vocab.json and the text of merges.txt. "<|endoftext|>" becomes special where it exists. */
  static fromGpt2Files(vocab: Record<string, number>, merges: string, config: TokenizerConfigJson = { eos_token: END_OF_TEXT }): Tokenizer {
    const lines = merges.split("\n").filter((line, i) => line !== "" && !(i === 0 && line.startsWith("#version")));
    const end = vocab[END_OF_TEXT];
    return new Tokenizer(byteLevelJson(vocab, lines, end === undefined ? [] : [special(END_OF_TEXT, end)]), config);
  }

  /**
   * Trains a byte-level tokenizer with GPT-2's word rule. Ids: special tokens, the 256 bytes in GPT-2's order, then merges;
   * ties between pairs go to the smallest ids, as in Hugging Face's trainer.
   */
  static train(texts: Iterable<string>, options: TrainTokenizerOptions): Tokenizer {
    const { vocabSize, specialTokens = [END_OF_TEXT], minFrequency, chatTemplate } = options;
    const first = specialTokens.length;
    if (vocabSize < first + 256) {
      throw new TokenizerError(
        `Tokenizer.train: vocabSize must be at least ${first + 256} (256 bytes and the special tokens), got ${vocabSize}. Ask for a larger vocabulary.`,
      );
    }
    const byteIds = new Int32Array(256);
    bytesInOrder.forEach((byte, id) => {
      byteIds[byte] = id;
    });
    const added = specialTokens.map(special);
    const pieces = bytesInOrder.map((byte) => Uint8Array.of(byte));
    const merges = trainBytePairs(withoutTokens(texts, added), { vocabSize: vocabSize - first, minFrequency, byteIds });
    const names = pieces.map(tokenOfBytes);
    const lines: string[] = [];
    for (let i = 0; i < merges.length; i += 3) {
      const [left, right, merged] = [names[merges[i]!]!, names[merges[i + 1]!]!, merges[i + 2]!];
      lines.push(`${left} ${right}`);
      names[merged] = left + right;
    }
    // Without a prototype, a token may be called anything.
    const vocab: Record<string, number> = Object.create(null);
    specialTokens.forEach((token, id) => {
      vocab[token] = id;
    });
    names.forEach((name, id) => {
      vocab[name] = first + id;
    });
    const config: TokenizerConfigJson = { tokenizer_class: "PreTrainedTokenizerFast", clean_up_tokenization_spaces: false };
    const eosToken = options.eosToken ?? (specialTokens.includes(END_OF_TEXT) ? END_OF_TEXT : undefined);
    const named = { bos_token: options.bosToken, eos_token: eosToken, pad_token: options.padToken };
    for (const [field, token] of Object.entries(named)) {
      if (token === undefined) continue;
      if (!specialTokens.includes(token)) {
        throw new TokenizerError(`Tokenizer.train: ${field} must be one of specialTokens, got "${token}". Add it to specialTokens.`);
      }
      config[field] = token;
    }
    if (chatTemplate !== undefined) config.chat_template = chatTemplate;
    return new Tokenizer(byteLevelJson(vocab, lines, added), config);
  }

  /** Contents of tokenizer.json. Shared with the tokenizer: do not change it. */
  toJSON(): TokenizerJson {
    return this.json;
  }

  /** Contents of tokenizer_config.json. Shared with the tokenizer: do not change it. */
  toConfigJSON(): TokenizerConfigJson {
    return this.config;
  }

  /** Text to ids. Lone surrogates are read as U+FFFD. */
  encode(text: string, options: EncodeOptions = {}): Uint32Array<ArrayBuffer> {
    const { addSpecialTokens = true, splitSpecialTokens = false } = options;
    const { before, after } = addSpecialTokens ? this.surroundings : { before: [], after: [] };
    const segments = this.split(text, splitSpecialTokens);
    const [only] = segments;
    if (segments.length === 1 && only !== undefined && "text" in only && before.length + after.length === 0)
      return this.encodeSegment(only);
    const chunks = [before, ...segments.map((segment) => ("id" in segment ? [segment.id] : this.encodeSegment(segment))), after];
    const ids = new Uint32Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      ids.set(chunk, at);
      at += chunk.length;
    }
    return ids;
  }

  /** {@link encode} for each text. */
  encodeBatch(texts: readonly string[], options: EncodeOptions = {}): Uint32Array<ArrayBuffer>[] {
    return texts.map((text) => this.encode(text, options));
  }

  /** Ids to text. Malformed byte sequences become U+FFFD. Text is not tidied (transformers' clean_up_tokenization_spaces is ignored). */
  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const kept = options.skipSpecialTokens ? Array.from(ids).filter((id) => !this.specialTokenIds.has(id)) : ids;
    const text = utf8Decoder().decode(this.encoder.decode(kept));
    let start = 0;
    while (start < this.stripStart && text[start] === " ") start += 1;
    return text.slice(start);
  }

  /** Decodes ids one at a time for display while they are generated. */
  decodeStream(options: DecodeOptions = {}): DecodeStream {
    const skipped = options.skipSpecialTokens ? this.specialTokenIds : undefined;
    return new DecodeStream((id) => {
      if (skipped?.has(id)) return undefined;
      const piece = this.pieces[id];
      if (piece === undefined) {
        throw new TokenizerError(`decodeStream: ids must be below ${this.vocabSize}, got ${id}. Decode with the tokenizer that made them.`);
      }
      return piece;
    }, this.stripStart);
  }

  /** Id of a token as it is written in tokenizer.json. */
  tokenToId(token: string): number | undefined {
    return this.ids.get(token);
  }

  /** The token as it is written in tokenizer.json. */
  idToToken(id: number): string | undefined {
    return this.tokens[id];
  }

  /** Added tokens out of the raw text, then out of the normalized rest. */
  private split(text: string, splitSpecialTokens: boolean): Segment[] {
    if (text === "") return [];
    const { raw, normalized } = splitSpecialTokens ? this.splitters.ordinary : this.splitters.all;
    return raw.split(text).flatMap((segment): Segment[] => {
      if ("id" in segment) return [segment];
      const changed = this.normalize(segment.text);
      return normalized === undefined ? [{ text: changed, start: segment.start }] : normalized.split(changed, segment.start);
    });
  }

  private encodeSegment({ text, start }: Extract<Segment, { text: string }>): Uint32Array<ArrayBuffer> {
    return this.encoder.encode(this.preTokenizer.prepare(text, start === 0));
  }
}

const END_OF_TEXT = "<|endoftext|>";

const special = (content: string, id: number): AddedTokenJson => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** Those of tokenizer.json, and those only tokenizer_config.json lists, as transformers adds them. */
function addedTokens(json: TokenizerJson, config: TokenizerConfigJson): AddedTokenJson[] {
  const added = [...(json.added_tokens ?? [])];
  const known = new Set(added.map(({ id }) => id));
  for (const [key, token] of Object.entries(config.added_tokens_decoder ?? {})) {
    if (!known.has(Number(key))) added.push({ ...token, id: Number(key) });
  }
  return added;
}

function* withoutTokens(texts: Iterable<string>, added: readonly AddedTokenJson[]): Generator<string> {
  const splitter = new AddedTokenSplitter(added);
  for (const text of texts) for (const segment of splitter.split(text)) if ("text" in segment) yield segment.text;
}

/** tokenizer.json of a GPT-2-style tokenizer. */
function byteLevelJson(vocab: Record<string, number>, merges: string[], added: AddedTokenJson[]): TokenizerJson {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const missing = byteCharacters.findIndex((character) => vocab[character] === undefined);
  if (missing >= 0) {
    throw new TokenizerError(
      `Tokenizer: the vocabulary must hold all 256 bytes, got none for byte ${missing} ("${byteCharacters[missing]}"). Add it.`,
    );
  }
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: { ...byteLevel, trim_offsets: false },
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}
