/** Byte-pair encoding in WebAssembly: a vocabulary loaded into its own instance, and training. */
import bytes from "../../build/tokenizer.wasm";
import { ArgumentError, requireInteger } from "./argument-error";
import { encodeUtf8, ensureBytes, instantiate, outOfHostMemory, type WasmMemory } from "./web-assembly";

interface TokenizerExports {
  readonly memory: WasmMemory;
  init(): void;
  alloc(sizeBytes: number): number;
  mark(): number;
  release(to: number): void;
  byte_table(): number;
  configure_encoder(byteLevel: number, byteFallback: number, ignoreMerges: number, unknown: number, fuseUnknown: number): void;
  configure_scanner(kind: number, digits: number, isolate: number): void;
  init_tokens(count: number): void;
  add_token(at: number, length: number, id: number): void;
  set_characters(rows: number, count: number): void;
  set_merges(rows: number, count: number): void;
  set_decoder(offsets: number, bytes: number, count: number): void;
  encode(text: number, length: number, out: number): number;
  decoded_size(ids: number, n: number): number;
  decode(ids: number, n: number, out: number): void;
  train_begin(): void;
  train_feed(text: number, length: number): void;
  train_run(vocabSize: number, minFrequency: number): number;
  trained_merges(): number;
}

/** How text is cut into words before merging. */
export type PreTokenization =
  /** The whole text is one word (SentencePiece-style vocabularies). */
  | { readonly type: "whole" }
  /** GPT-2's expression; `isolateDigits` makes each number character a piece of its own first. */
  | { readonly type: "gpt2"; readonly isolateDigits?: boolean }
  /** The expression of cl100k, Llama 3 (3 digits) and Qwen 2 and 3 (1 digit). */
  | { readonly type: "cl100k"; readonly maxDigits: number }
  /** Words begin at U+2581. */
  | { readonly type: "metaspace" };

const scanners = { whole: 0, gpt2: 1, cl100k: 2, metaspace: 3 } as const;

/** A vocabulary as the encoder needs it. Ids are rows of `pieces`. */
export interface BytePairModel {
  /** What each id decodes to; an unused id has none. */
  readonly pieces: readonly Uint8Array[];
  /** (merges, 3): left id, right id, merged id, in order of rank. */
  readonly merges: Uint32Array;
  readonly preTokenization: PreTokenization;
  /** (256): id of the token for each single byte, -1 where there is none. */
  readonly byteIds: Int32Array;
  /** Symbols start as characters with these ids instead of as bytes. */
  readonly characters?: ReadonlyMap<number, number>;
  /** With `characters`: one without a token becomes its bytes' tokens. Default false. */
  readonly byteFallback?: boolean;
  /** Ids of the words that are tokens whatever the merges say (Llama 3's ignore_merges), keyed by id. */
  readonly wholeWords?: ReadonlyMap<number, Uint8Array>;
  /** Id for what has no token; default: it is dropped. */
  readonly unknownId?: number;
  /** A run of unknown characters gives one id. Default false. */
  readonly fuseUnknown?: boolean;
}

/** Room that the encoder may read beyond a text. */
const TEXT_SLACK = 16;

class Instance {
  readonly exports = instantiate<TokenizerExports>(bytes);

  constructor() {
    this.exports.init();
  }

  /** Reserves memory, kept until a release below it. */
  alloc(sizeBytes: number): number {
    // One call's worth of growth happens here, where it can fail with a typed error.
    ensureBytes(this.exports.memory, (this.exports.mark() >>> 0) + sizeBytes + 64);
    return this.exports.alloc(sizeBytes) >>> 0;
  }

  /** Runs a call that may itself need more memory; a trap there has no other reason. */
  run<T>(where: string, call: () => T): T {
    try {
      return call();
    } catch (cause) {
      throw outOfHostMemory(where, this.exports.memory.buffer.byteLength, cause);
    }
  }

  putBytes(values: Uint8Array): number {
    const at = this.alloc(values.length);
    new Uint8Array(this.exports.memory.buffer, at, values.length).set(values);
    return at;
  }

  putWords(values: ArrayLike<number>): number {
    const at = this.alloc(values.length * 4);
    new Uint32Array(this.exports.memory.buffer, at, values.length).set(values);
    return at;
  }

  configure({ byteIds, preTokenization }: Pick<BytePairModel, "byteIds" | "preTokenization">): void {
    new Int32Array(this.exports.memory.buffer, this.exports.byte_table(), 256).set(byteIds);
    const digits = preTokenization.type === "cl100k" ? preTokenization.maxDigits : 0;
    const isolate = preTokenization.type === "gpt2" && preTokenization.isolateDigits === true;
    this.exports.configure_scanner(scanners[preTokenization.type], digits, isolate ? 1 : 0);
  }
}

function concatenate(pieces: readonly Uint8Array[]): { offsets: Uint32Array; data: Uint8Array } {
  const offsets = new Uint32Array(pieces.length + 1);
  pieces.forEach((piece, id) => {
    offsets[id + 1] = offsets[id]! + piece.length;
  });
  const data = new Uint8Array(offsets[pieces.length]!);
  pieces.forEach((piece, id) => {
    data.set(piece, offsets[id]);
  });
  return { offsets, data };
}

/** One vocabulary in its own WebAssembly instance. */
export class BytePairEncoder {
  private readonly instance = new Instance();

  constructor(model: BytePairModel) {
    const { pieces, merges, characters, wholeWords } = model;
    const { exports } = this.instance;
    this.instance.configure(model);
    exports.configure_encoder(
      characters === undefined ? 1 : 0,
      model.byteFallback === true ? 1 : 0,
      wholeWords === undefined ? 0 : 1,
      model.unknownId ?? -1,
      model.fuseUnknown === true ? 1 : 0,
    );
    const { offsets, data } = concatenate(pieces);
    exports.set_decoder(this.instance.putWords(offsets), this.instance.putBytes(data), pieces.length);
    if (characters !== undefined) {
      const rows = Uint32Array.from([...characters].flat());
      exports.set_characters(this.instance.putWords(rows), characters.size);
    }
    if (wholeWords !== undefined) {
      const words = concatenate([...wholeWords.values()]);
      const at = this.instance.putBytes(words.data);
      exports.init_tokens(wholeWords.size);
      let index = 0;
      for (const id of wholeWords.keys()) {
        const from = words.offsets[index]!;
        exports.add_token(at + from, words.offsets[++index]! - from, id);
      }
    }
    exports.set_merges(this.instance.putWords(merges), merges.length / 3);
  }

  /** Text to ids, in one call into WebAssembly. Lone surrogates are encoded as U+FFFD. */
  encode(text: string): Uint32Array<ArrayBuffer> {
    const { exports } = this.instance;
    const start = exports.mark();
    try {
      const from = this.instance.alloc(text.length * 3 + TEXT_SLACK);
      const length = encodeUtf8(text, new Uint8Array(exports.memory.buffer, from, text.length * 3));
      // Give back what the text turned out not to need.
      exports.release(from);
      this.instance.alloc(length + TEXT_SLACK);
      const out = this.instance.alloc(length * 4);
      const count = this.instance.run("encode", () => exports.encode(from, length, out));
      return new Uint32Array(exports.memory.buffer, out, count).slice();
    } finally {
      exports.release(start);
    }
  }

  /** Ids to the bytes they stand for; a token may end within a character. */
  decode(ids: ArrayLike<number>): Uint8Array<ArrayBuffer> {
    const { exports } = this.instance;
    const start = exports.mark();
    try {
      const from = this.instance.putWords(ids);
      const size = exports.decoded_size(from, ids.length);
      if (size < 0) {
        const index = -1 - size;
        throw new ArgumentError(
          `decode: ids must belong to the vocabulary, got ${ids[index]} at index ${index}. Decode with the tokenizer that made them.`,
        );
      }
      const out = this.instance.alloc(size);
      exports.decode(from, ids.length, out);
      return new Uint8Array(exports.memory.buffer, out, size).slice();
    } finally {
      exports.release(start);
    }
  }
}

/** Options of {@link trainBytePairs}. */
export interface BytePairTraining {
  /** Tokens to end with, the 256 bytes included. */
  readonly vocabSize: number;
  /** Pairs that occur less often are not merged; default 2. */
  readonly minFrequency?: number;
  /** Default GPT-2's. */
  readonly preTokenization?: PreTokenization;
  /** (256): which id each byte has, a permutation of 0 ... 255. */
  readonly byteIds: Int32Array;
}

/**
 * Learns merges (merges, 3) from texts: the most frequent pair first, ties by the smallest pair of ids, as Hugging Face's BpeTrainer.
 * Words never cross two texts. Fewer tokens than asked for come out when pairs run out.
 */
export function trainBytePairs(texts: Iterable<string>, options: BytePairTraining): Uint32Array<ArrayBuffer> {
  const { vocabSize, minFrequency = 2, preTokenization = { type: "gpt2" }, byteIds } = options;
  requireInteger("trainBytePairs", "vocabSize", vocabSize, 256);
  requireInteger("trainBytePairs", "minFrequency", minFrequency, 1);
  const instance = new Instance();
  const { exports } = instance;
  instance.configure({ byteIds, preTokenization });
  exports.train_begin();
  let capacity = 1 << 16;
  let buffer = instance.alloc(capacity);
  for (const text of texts) {
    if (text.length * 3 > capacity) {
      // What training keeps lies above the buffer, so that one is left behind rather than released.
      capacity = Math.max(capacity * 2, text.length * 3);
      buffer = instance.alloc(capacity);
    }
    const length = encodeUtf8(text, new Uint8Array(exports.memory.buffer, buffer, text.length * 3));
    instance.run("trainBytePairs", () => exports.train_feed(buffer, length));
  }
  const count = instance.run("trainBytePairs", () => exports.train_run(vocabSize, minFrequency));
  return new Uint32Array(exports.memory.buffer, exports.trained_merges() >>> 0, count * 3).slice();
}
