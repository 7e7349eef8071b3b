/** Tokenizers: read from Hugging Face's tokenizer.json, or trained here. */
import { TokenEncoder, utf8Decoder } from "@trimtab/kernels";
import { AddedTokenSplitter, readAddedTokens, type Segment } from "./added-tokens";
import { alignTokens } from "./alignment";
import { BytesDecodeStream, type DecodeStream, WindowDecodeStream } from "./decode-stream";
import { type Decoder, readDecoder } from "./decoders";
import { JsonField, readComponent } from "./json-field";
import { Layout } from "./layout";
import { readTokenizerBytes } from "./model-bytes";
import { type ModelTables, readTables } from "./model-tables";
import { type Model, modelReaders, modelType } from "./models";
import type { NameTable } from "./name-table";
import { type Normalizer, readNormalizer } from "./normalizers";
import { readPostProcessor, type Surroundings } from "./post-processors";
import { type PreTokenizer, readPreTokenizer, type Stretch } from "./pre-tokenizers";
import { canCutAtMetaspaces } from "./scanners";
import { readTiktoken, type TiktokenOptions } from "./tiktoken";
import { readNamedToken } from "./token-names";
import { TokenizerError } from "./tokenizer-error";
import type { TokenizerConfigJson, TokenizerJson } from "./tokenizer-json";
import { gpt2Json, type TrainTokenizerOptions, trainTokenizer } from "./training";
import { checkAdded, makeTables, Vocabulary } from "./vocabulary";

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

const nothing: Surroundings = { before: [], after: [] };

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

  /** tokenizer.json without the model's vocabulary and merges, which the encoder holds. */
  readonly #json: TokenizerJson;
  readonly #config: TokenizerConfigJson;
  readonly #encoder: TokenEncoder;
  readonly #model: Model;
  readonly #vocabulary: Vocabulary;
  /** Ids of added tokens that the model does not have itself. */
  readonly #addedOnly: ReadonlySet<number>;
  readonly #added: ReadonlySet<number>;
  readonly #normalize: Normalizer;
  readonly #preTokenizer: PreTokenizer;
  readonly #surroundings: Surroundings;
  readonly #decoder: Decoder;
  /** Added tokens that are looked for in the text as it is. */
  readonly #rawSplitter: AddedTokenSplitter;
  /** Added tokens that are looked for in normalized text. */
  readonly #normalizedSplitter: AddedTokenSplitter;

  /** `read`: the model's tables where `json` has none. */
  private constructor(json: TokenizerJson, config: TokenizerConfigJson, read?: ModelTables) {
    const root = new JsonField(json, "");
    const configRoot = new JsonField(config, "tokenizer_config.json");
    const model = root.get("model");
    const type = modelType(model);
    const useModel = readComponent(new JsonField({ ...model.object(), type }, "model"), modelReaders);
    this.#normalize = readNormalizer(root.get("normalizer"));
    this.#preTokenizer = readPreTokenizer(root.get("pre_tokenizer"), type === "BPE");
    this.#decoder = readDecoder(root.get("decoder"));
    const { byteLevel } = this.#preTokenizer;
    if (byteLevel && !this.#decoder.byteLevel) throw root.get("decoder").must("ByteLevel like the pre-tokenizer");

    const large = read ?? readTables(model, type);
    const own = large.names;
    const added = readAddedTokens(root.get("added_tokens"), configRoot.get("added_tokens_decoder"));
    checkAdded(own, added, root.get("added_tokens"));
    const tables = makeTables(own, added, byteLevel, this.#decoder.bytes);
    this.#encoder = new TokenEncoder({ ...tables, scanner: this.#scanner(model, type, own) });
    this.#model = useModel(this.#encoder, large, byteLevel);
    this.#vocabulary = new Vocabulary(this.#encoder, byteLevel, tables.exceptions);
    this.#added = new Set(added.map(({ id }) => id));
    this.#addedOnly = new Set([...this.#added].filter((id) => !own.has(id)));
    this.#surroundings = readPostProcessor(root.get("post_processor"), this.#encoder.size);
    this.#rawSplitter = new AddedTokenSplitter(added.filter(({ normalized }) => !normalized));
    this.#normalizedSplitter = new AddedTokenSplitter(
      added.filter(({ normalized }) => normalized),
      this.#normalize,
    );

    this.vocabSize = this.#encoder.size;
    this.specialTokenIds = new Set(added.filter(({ special }) => special).map(({ id }) => id));
    const namedId = (field: string) => {
      const name = readNamedToken(configRoot.get(field));
      return name === undefined ? undefined : this.#vocabulary.idOf(name);
    };
    this.bosTokenId = namedId("bos_token");
    this.eosTokenId = namedId("eos_token");
    this.padTokenId = namedId("pad_token");
    this.unkTokenId = namedId("unk_token") ?? this.#model.unknownId;
    this.chatTemplate = readChatTemplate(configRoot.get("chat_template"));
    const { vocab: _vocab, merges: _merges, ...rest } = json.model;
    this.#json = { ...json, model: { ...rest, vocab: {} } };
    this.#config = config;
  }

  /**
   * Reads a parsed tokenizer.json, and tokenizer_config.json for the names of special tokens and the chat template. Throws TokenizerError, naming
   * the field, where something is malformed or not supported. `truncation` and `padding` are kept but not used: see {@link TokenizerJson}.
   */
  static fromJSON(json: TokenizerJson, config: TokenizerConfigJson = {}): Tokenizer {
    return new Tokenizer(json, config);
  }

  /**
   * {@link fromJSON} of a file's bytes (UTF-8). Loading then takes a few times the file's size less memory, for no string is made of any token. Throws
   * SyntaxError where they are no JSON.
   */
  static parse(bytes: Uint8Array, config: TokenizerConfigJson = {}): Tokenizer {
    const read = readTokenizerBytes(bytes);
    if (read) return new Tokenizer(read.json, config, read.tables);
    return new Tokenizer(JSON.parse(utf8Decoder().decode(bytes)) as TokenizerJson, config);
  }

  /** Reads GPT-2's own two files: the parsed vocab.json and the text of merges.txt. "<|endoftext|>" becomes special where it exists. */
  static fromGpt2Files(
    vocab: Record<string, number>,
    merges: string,
    config: TokenizerConfigJson = { eos_token: "<|endoftext|>" },
  ): Tokenizer {
    return new Tokenizer(gpt2Json(vocab, merges), config);
  }

  /**
   * Reads a .tiktoken file: a line of base64 and rank for each token. Throws TokenizerError, naming the line or the field, where it is malformed.
   */
  static fromTiktoken(ranks: string, options: TiktokenOptions, config: TokenizerConfigJson = {}): Tokenizer {
    const { json, tables } = readTiktoken(ranks, options);
    return new Tokenizer(json, config, tables);
  }

  /**
   * Trains a byte-level tokenizer with GPT-2's word rule. Ids: special tokens, the 256 bytes in GPT-2's order, then merges;
   * ties between pairs go to the smallest ids, as in Hugging Face's trainer.
   */
  static train(texts: Iterable<string>, options: TrainTokenizerOptions): Tokenizer {
    const { json, config } = trainTokenizer(texts, options);
    return new Tokenizer(json, config);
  }

  /** Contents of tokenizer.json, put together anew; what they do not share with the tokenizer is the vocabulary and the merges. Do not change the rest. */
  toJSON(): TokenizerJson {
    const tokenOf = (id: number) => (this.#addedOnly.has(id) ? undefined : this.#vocabulary.tokenOf(id));
    return { ...this.#json, model: { ...this.#json.model, ...this.#model.write(tokenOf) } };
  }

  /** Contents of tokenizer_config.json. Shared with the tokenizer: do not change it. */
  toConfigJSON(): TokenizerConfigJson {
    return this.#config;
  }

  /** Text to ids. Lone surrogates are read as U+FFFD. */
  encode(text: string, options: EncodeOptions = {}): Uint32Array<ArrayBuffer> {
    const { addSpecialTokens = true, splitSpecialTokens = false } = options;
    const { before, after } = addSpecialTokens ? this.#surroundings : nothing;
    const layout = new Layout();
    for (const id of before) layout.addId(id);
    for (const segment of this.#split(text, splitSpecialTokens)) {
      if ("id" in segment) layout.addId(segment.id);
      else for (const stretch of this.#cut(segment)) layout.addText(stretch.text);
    }
    for (const id of after) layout.addId(id);
    return layout.encode(this.#encoder);
  }

  /** {@link encode} for each text. */
  encodeBatch(texts: readonly string[], options: EncodeOptions = {}): Uint32Array<ArrayBuffer>[] {
    return texts.map((text) => this.encode(text, options));
  }

  /**
   * Ids to text. Malformed byte sequences become U+FFFD. Text is not tidied (transformers' clean_up_tokenization_spaces is ignored). Ids without
   * a token give nothing; ids outside the vocabulary throw.
   */
  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const kept = options.skipSpecialTokens ? Array.from(ids).filter((id) => !this.specialTokenIds.has(id)) : ids;
    const { bytes } = this.#decoder;
    if (bytes !== undefined) {
      const text = utf8Decoder().decode(this.#encoder.decode(kept));
      // Of a malformed run of byte tokens each is U+FFFD, which bytes alone do not tell.
      if (!(bytes.byteFallback && text.includes("\ufffd"))) {
        let start = 0;
        while (start < bytes.stripStart && text[start] === " ") start += 1;
        return text.slice(start);
      }
    }
    return this.#decoder.decode(Array.from(kept, (id) => this.#tokenOf(id)).filter((token) => token !== undefined));
  }

  /** Decodes ids one at a time for display while they are generated. */
  decodeStream(options: DecodeOptions = {}): DecodeStream {
    const skipped = options.skipSpecialTokens ? this.specialTokenIds : undefined;
    const { bytes } = this.#decoder;
    if (bytes === undefined) return new WindowDecodeStream((ids) => this.decode(ids, options));
    return new BytesDecodeStream((id) => {
      if (skipped?.has(id)) return undefined;
      this.#requireId(id);
      return this.#encoder.piece(id);
    }, bytes.stripStart);
  }

  /**
   * Where each token begins in the text it was made of: bytes of UTF-8 before it, and of the whole text at the end, (N + 1). Undefined where the
   * tokens do not spell the text (it was normalized, or the decoder does more than put bytes together).
   */
  align(text: string, ids: ArrayLike<number>): Uint32Array<ArrayBuffer> | undefined {
    if (this.#decoder.bytes === undefined) return undefined;
    return alignTokens(
      text,
      Array.from(ids, (id) => ({ bytes: this.#encoder.piece(id), isAdded: this.#added.has(id) })),
    );
  }

  /**
   * The bytes that an id adds to a text, so that `decode` is the text of all bytes together, less up to {@link leadingSpaces} spaces at its beginning.
   * Undefined for special tokens, for ids without a token, and where the decoder does more than put bytes together (WordPiece).
   */
  tokenBytes(id: number): Uint8Array<ArrayBuffer> | undefined {
    if (this.#decoder.bytes === undefined || this.specialTokenIds.has(id) || !(id >= 0 && id < this.vocabSize)) return undefined;
    return this.#encoder.piece(id);
  }

  /** Spaces that are dropped at the beginning of a decoded text: 1 for Llama 2 and its kin. */
  get leadingSpaces(): number {
    return this.#decoder.bytes?.stripStart ?? 0;
  }

  /** Id of a token as it is written in tokenizer.json. */
  tokenToId(token: string): number | undefined {
    return this.#vocabulary.idOf(token);
  }

  /** The token as it is written in tokenizer.json. */
  idToToken(id: number): string | undefined {
    return this.#vocabulary.tokenOf(id);
  }

  /** What the encoder cuts words by, once JavaScript has done its part. */
  #scanner(model: JsonField, type: string, names: NameTable) {
    const { scanner, byteLevel } = this.#preTokenizer;
    const isPlain = !["ignore_merges", "continuing_subword_prefix", "end_of_word_suffix"].some((name) => model.get(name).value);
    const isOneWord = scanner.type === "whole" && !byteLevel && type === "BPE" && isPlain;
    return isOneWord && canCutAtMetaspaces(names) ? ({ type: "metaspace", runs: true } as const) : scanner;
  }

  /** Added tokens out of the raw text, then out of the normalized rest. */
  #split(text: string, splitSpecial: boolean): Segment[] {
    if (text === "") return [];
    return this.#rawSplitter
      .split(text, splitSpecial)
      .flatMap((segment) =>
        "id" in segment ? [segment] : this.#normalizedSplitter.split(this.#normalize(segment.text), splitSpecial, segment.start),
      );
  }

  #cut(segment: Stretch): readonly Stretch[] {
    let stretches: readonly Stretch[] = [segment];
    for (const cut of this.#preTokenizer.cuts) stretches = stretches.flatMap(cut);
    return stretches;
  }

  #tokenOf(id: number): string | undefined {
    this.#requireId(id);
    return this.#vocabulary.tokenOf(id);
  }

  #requireId(id: number): void {
    if (id >= 0 && id < this.vocabSize) return;
    throw new TokenizerError(`decode: ids must be below ${this.vocabSize}, got ${id}. Decode with the tokenizer that made them.`);
  }
}

/** One template, or that named "default" of several, or the first. */
function readChatTemplate(field: JsonField): string | undefined {
  if (field.isAbsent) return undefined;
  if (!Array.isArray(field.value)) return field.string();
  const templates = field.items();
  return (templates.find((template) => template.get("name").value === "default") ?? templates[0])?.get("template").string();
}
