/** A vocabulary in WebAssembly: text to ids in one call, and ids to bytes. */
import { ArgumentError } from "./argument-error";
import { type Scanner, TokenizerModule } from "./tokenizer-module";
import { encodeUtf8 } from "./web-assembly";

/** Byte strings by index: string i is `bytes[offsets[i]] ... bytes[offsets[i + 1] - 1]`; `offsets` has one more than there are strings. */
export interface ByteStrings {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
}

/** The vocabulary. Ids are below 2^22 - 1. */
export interface TokenTables {
  /** What each id is, in the alphabet of the text that the model sees; an unused id has no bytes. */
  readonly tokens: ByteStrings;
  /** Ids that no text leads to (added tokens), ascending. */
  readonly hidden: readonly number[];
  /** What each id decodes to, where that differs from `tokens`. */
  readonly pieces?: ByteStrings | undefined;
  readonly scanner: Scanner;
}

/** How byte-pair encoding makes ids of a word. */
export interface BytePairRules {
  /** The two sides of each merge, one merge after another in order of rank: 2 strings each. */
  readonly merges: ByteStrings;
  /** Symbols are bytes rather than characters. */
  readonly byteLevel: boolean;
  /** (256): id of the token for each single byte, -1 where there is none. */
  readonly byteIds: Int32Array;
  /** A character without a token becomes its bytes' tokens. */
  readonly byteFallback: boolean;
  /** A word that is a token is that token, whatever the merges say. */
  readonly ignoreMerges: boolean;
  /** Id for what has no token; undefined: it is dropped. */
  readonly unknownId: number | undefined;
  /** A run of unknown symbols gives one id. */
  readonly fuseUnknown: boolean;
  /** What tokens within a word begin with. */
  readonly prefix: Uint8Array;
  /** What a word's last token ends with. */
  readonly suffix: Uint8Array;
}

/** How the Unigram model makes ids of a word. */
export interface UnigramRules {
  /** Log-probability of each id; unused ids too. (V) */
  readonly scores: Float64Array;
  /** The least of the scores of used ids. */
  readonly lowest: number;
  readonly unknownId: number;
  readonly byteFallback: boolean;
  /** (256): id of the token for each single byte, -1 where there is none. */
  readonly byteIds: Int32Array;
}

/** How WordPiece makes ids of a word. */
export interface WordPieceRules {
  readonly unknownId: number;
  /** What tokens within a word begin with. */
  readonly prefix: Uint8Array;
  /** Longer words are unknown. */
  readonly maxCharacters: number;
}

const models = { bytePair: 0, unigram: 1, wordPiece: 2, wordLevel: 3 } as const;

/** Most ids that a vocabulary can have. */
export const MAX_TOKENS = (1 << 22) - 2;

const MERGES_AT_A_TIME = 4096;

/** Room that the encoder may read beyond a text. */
const TEXT_SLACK = 16;

/** One vocabulary in its own WebAssembly instance. Call one of the `use` methods before `encode`. */
export class TokenEncoder {
  /** Ids are below this. */
  readonly size: number;
  readonly #module = new TokenizerModule();
  readonly #tokens: { offsets: number; bytes: number };
  readonly #pieces: { offsets: number; bytes: number };
  #merges = 0;

  constructor({ tokens, hidden, pieces, scanner }: TokenTables) {
    const { exports } = this.#module;
    this.size = tokens.offsets.length - 1;
    if (this.size > MAX_TOKENS) {
      throw new ArgumentError(
        `TokenEncoder: a vocabulary must have at most ${MAX_TOKENS} ids, got ${this.size}. Use a vocabulary without such gaps.`,
      );
    }
    this.#module.run("TokenEncoder", () => exports.init_word_cache());
    this.#module.setScanner(scanner);
    this.#tokens = this.#put(tokens);
    this.#pieces = pieces === undefined ? this.#tokens : this.#put(pieces);
    const place = this.#module.alloc(exports.tokens_size(this.size));
    exports.set_tokens(place, this.#tokens.offsets, this.#tokens.bytes, this.size);
    exports.set_pieces(this.#pieces.offsets, this.#pieces.bytes, this.size);
    let from = 0;
    for (const id of hidden) {
      exports.index_tokens(from, id);
      from = id + 1;
    }
    exports.index_tokens(from, this.size);
  }

  /** Byte-pair encoding (Sennrich et al. 2016). Returns the first merge that is not made of tokens, of which nothing can then be encoded; else undefined. */
  useBytePairs(rules: BytePairRules): number | undefined {
    const { exports } = this.#module;
    this.#merges = (rules.merges.offsets.length - 1) / 2;
    exports.configure_model(models.bytePair);
    this.#module.setByteIds(rules.byteIds);
    const flag = (value: boolean) => (value ? 1 : 0);
    exports.configure_byte_pair(
      flag(rules.byteLevel),
      flag(rules.byteFallback),
      flag(rules.ignoreMerges),
      rules.unknownId ?? -1,
      flag(rules.fuseUnknown),
    );
    const [prefix, suffix] = [this.#module.putBytes(rules.prefix), this.#module.putBytes(rules.suffix)];
    exports.set_affixes(prefix, rules.prefix.length, suffix, rules.suffix.length);
    exports.begin_merges(this.#module.alloc(exports.merges_size(this.#merges)), this.#merges, rules.prefix.length);
    for (let row = 0; row < this.#merges; row += MERGES_AT_A_TIME) {
      const bad = this.#addMerges(rules.merges, row, Math.min(row + MERGES_AT_A_TIME, this.#merges));
      if (bad >= 0) return bad;
    }
    return undefined;
  }

  /** Hands over a few, so that memory which cannot be given back stays small. */
  #addMerges({ offsets, bytes }: ByteStrings, from: number, to: number): number {
    const { exports } = this.#module;
    const scratch = exports.mark();
    const lengths = Uint32Array.from({ length: (to - from) * 2 }, (_, i) => offsets[2 * from + i + 1]! - offsets[2 * from + i]!);
    const sides = this.#module.putBytes(bytes.subarray(offsets[2 * from], offsets[2 * to]));
    const rows = this.#module.putWords(lengths);
    const bad = this.#module.run("TokenEncoder", () => exports.add_merges(sides, rows, to - from));
    exports.release(scratch);
    return bad;
  }

  /** The Unigram model (Kudo 2018). */
  useUnigram(rules: UnigramRules): void {
    const { exports } = this.#module;
    this.#buildTrie();
    exports.configure_model(models.unigram);
    this.#module.setByteIds(rules.byteIds);
    exports.configure_unigram(this.#module.putDoubles(rules.scores), rules.lowest, rules.unknownId, rules.byteFallback ? 1 : 0);
  }

  /** WordPiece (Schuster and Nakajima 2012), the longest token first. */
  useWordPiece(rules: WordPieceRules): void {
    const { exports } = this.#module;
    this.#buildTrie();
    exports.configure_model(models.wordPiece);
    const prefix = this.#module.putBytes(rules.prefix);
    exports.configure_word_piece(rules.unknownId, prefix, rules.prefix.length, rules.maxCharacters);
  }

  /** Every word is one token. */
  useWordLevel(unknownId: number): void {
    this.#module.exports.configure_model(models.wordLevel);
    this.#module.exports.configure_word_level(unknownId);
  }

  /**
   * Text to ids, in one call into WebAssembly. Lone surrogates are encoded as U+FFFD. `layout` says what the text is made of, in order: an entry
   * is the length of a stretch that words do not cross, or `TokenEncoder.id(...)`, an id that stands there and has no text.
   */
  encode(text: string, layout?: ArrayLike<number>): Uint32Array<ArrayBuffer> {
    const { exports } = this.#module;
    const start = exports.mark();
    try {
      const entries = layout?.length ?? 0;
      const rows = layout === undefined ? 0 : this.#module.putWords(layout);
      const from = this.#module.alloc(text.length * 3 + TEXT_SLACK);
      const length = encodeUtf8(text, this.#module.view(from, text.length * 3));
      // Give back what the text turned out not to need.
      exports.release(from);
      this.#module.alloc(length + TEXT_SLACK);
      const out = this.#module.alloc((length + entries) * 4);
      const count = this.#module.run("encode", () => exports.encode(from, length, rows, entries, out));
      return new Uint32Array(exports.memory.buffer, out, count).slice();
    } finally {
      exports.release(start);
    }
  }

  /** A layout's entry for an id. */
  static id(id: number): number {
    return id + 0x80000000;
  }

  /** Ids to the bytes they stand for; a token may end within a character. */
  decode(ids: ArrayLike<number>): Uint8Array<ArrayBuffer> {
    const { exports } = this.#module;
    const start = exports.mark();
    try {
      const from = this.#module.putWords(ids);
      const size = exports.decoded_size(from, ids.length);
      if (size < 0) {
        const index = -1 - size;
        throw new ArgumentError(
          `decode: ids must belong to the vocabulary, got ${ids[index]} at index ${index}. Decode with the tokenizer that made them.`,
        );
      }
      const out = this.#module.alloc(size);
      exports.decode(from, ids.length, out);
      return this.#module.view(out, size).slice();
    } finally {
      exports.release(start);
    }
  }

  /** Id of a token that text can lead to. */
  find(token: Uint8Array): number | undefined {
    const { exports } = this.#module;
    const start = exports.mark();
    try {
      const id = exports.find_token(this.#module.putBytes(token), token.length);
      return id < 0 ? undefined : id;
    } finally {
      exports.release(start);
    }
  }

  /** Bytes of an id's token; none where it is not used. */
  token(id: number): Uint8Array<ArrayBuffer> {
    return this.#string(this.#tokens, id);
  }

  /** Bytes that an id decodes to. */
  piece(id: number): Uint8Array<ArrayBuffer> {
    return this.#string(this.#pieces, id);
  }

  /** (merges, 3): left, right and merged id, in order of rank. */
  mergeRows(): Uint32Array<ArrayBuffer> {
    if (this.#merges === 0) return new Uint32Array(0);
    const { exports } = this.#module;
    return new Uint32Array(exports.memory.buffer, exports.merge_rows() >>> 0, this.#merges * 3).slice();
  }

  #put({ offsets, bytes }: ByteStrings): { offsets: number; bytes: number } {
    return { offsets: this.#module.putWords(offsets), bytes: this.#module.putBytes(bytes) };
  }

  #string({ offsets, bytes }: { offsets: number; bytes: number }, id: number): Uint8Array<ArrayBuffer> {
    if (!(id >= 0 && id < this.size)) return new Uint8Array(0);
    const [from, to] = new Uint32Array(this.#module.exports.memory.buffer, offsets + id * 4, 2) as unknown as [number, number];
    return this.#module.view(bytes + from, to - from).slice();
  }

  #buildTrie(): void {
    if (this.#module.run("TokenEncoder", () => this.#module.exports.build_trie()) === 0) {
      throw new ArgumentError(
        "TokenEncoder: the tokens must have fewer than 2^24 different beginnings, got more. Use a smaller vocabulary.",
      );
    }
  }
}
