/** An instance of tokenizer.wasm: its exports, and putting arrays into its memory. */
import base64 from "../../build/tokenizer.wasm";
import { ensureBytes, instantiate, outOfHostMemory, type WasmMemory } from "./web-assembly";

interface TokenizerExports {
  readonly memory: WasmMemory;
  init(): void;
  init_word_cache(): void;
  alloc(sizeBytes: number): number;
  mark(): number;
  release(to: number): void;
  tokens_size(count: number): number;
  set_tokens(place: number, offsets: number, bytes: number, count: number): void;
  index_tokens(from: number, to: number): void;
  find_token(at: number, length: number): number;
  set_pieces(offsets: number, bytes: number, count: number): void;
  byte_table(): number;
  configure_model(kind: number): void;
  configure_byte_pair(byteLevel: number, byteFallback: number, ignoreMerges: number, unknown: number, fuseUnknown: number): void;
  set_affixes(prefix: number, prefixLength: number, suffix: number, suffixLength: number): void;
  merges_size(count: number): number;
  begin_merges(place: number, count: number, skip: number): void;
  add_merges(sides: number, lengths: number, count: number): number;
  merge_rows(): number;
  build_trie(): number;
  configure_unigram(scores: number, lowest: number, unknown: number, byteFallback: number): void;
  configure_word_piece(unknown: number, prefix: number, prefixLength: number, maxCharacters: number): void;
  configure_word_level(unknown: number): void;
  configure_scanner(kind: number, digits: number): void;
  encode(text: number, length: number, layout: number, entries: number, out: number): number;
  decoded_size(ids: number, n: number): number;
  decode(ids: number, n: number, out: number): void;
  train_begin(): void;
  train_feed(text: number, length: number): void;
  train_run(vocabSize: number, minFrequency: number): number;
  trained_merges(): number;
}

/** How text is cut into words before a model sees them. */
export type Scanner =
  /** The whole text is one word. */
  | { readonly type: "whole" }
  /** GPT-2's expression; `isolateDigits` makes each number character a piece of its own first. */
  | { readonly type: "gpt2"; readonly isolateDigits?: boolean }
  /** The expression of cl100k and Llama 3 (3 digits) and of Qwen 2 and 3 (1 digit). */
  | { readonly type: "cl100k"; readonly maxDigits: number }
  /** The expression of o200k. */
  | { readonly type: "o200k" }
  /** Words begin at each U+2581, or with `runs` at each run of them. */
  | { readonly type: "metaspace"; readonly runs?: boolean };

/** A scanner's number and its one parameter. */
function scannerCode(scanner: Scanner): [kind: number, digits: number] {
  switch (scanner.type) {
    case "whole":
      return [0, 0];
    case "gpt2":
      return [scanner.isolateDigits === true ? 2 : 1, 0];
    case "cl100k":
      return [3, scanner.maxDigits];
    case "o200k":
      return [4, 0];
    case "metaspace":
      return [scanner.runs === true ? 6 : 5, 0];
  }
}

/** One vocabulary's own instance. */
export class TokenizerModule {
  readonly exports = instantiate<TokenizerExports>(base64);

  constructor() {
    this.exports.init();
  }

  /** Bytes of the instance's memory: fetch anew after anything that may allocate. */
  view(at: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.exports.memory.buffer, at, length);
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
    this.view(at, values.length).set(values);
    return at;
  }

  putWords(values: ArrayLike<number>): number {
    const at = this.alloc(values.length * 4);
    new Uint32Array(this.exports.memory.buffer, at, values.length).set(values);
    return at;
  }

  putDoubles(values: Float64Array): number {
    const at = this.alloc(values.length * 8);
    new Float64Array(this.exports.memory.buffer, at, values.length).set(values);
    return at;
  }

  /** (256): the id of each byte's own token, or -1. */
  setByteIds(byteIds: Int32Array): void {
    new Int32Array(this.exports.memory.buffer, this.exports.byte_table(), 256).set(byteIds);
  }

  setScanner(scanner: Scanner): void {
    this.exports.configure_scanner(...scannerCode(scanner));
  }
}
