/** Training of byte-pair merges in WebAssembly. */
import { requireInteger } from "./argument-error";
import { type Scanner, TokenizerModule } from "./tokenizer-module";
import { encodeUtf8 } from "./web-assembly";

/** Options of {@link trainBytePairs}. */
export interface BytePairTraining {
  /** Tokens to end with, the 256 bytes included. */
  readonly vocabSize: number;
  /** Pairs that occur less often are not merged; default 2. */
  readonly minFrequency?: number;
  /** Default GPT-2's. */
  readonly scanner?: Scanner;
  /** (256): which id each byte has, a permutation of 0 ... 255. */
  readonly byteIds: Int32Array;
}

/**
 * Learns merges (merges, 3) from texts: the most frequent pair first, ties by the smallest pair of ids, as Hugging Face's BpeTrainer.
 * Words never cross two texts. Fewer tokens than asked for come out when pairs run out.
 */
export function trainBytePairs(texts: Iterable<string>, options: BytePairTraining): Uint32Array<ArrayBuffer> {
  const { vocabSize, minFrequency = 2, scanner = { type: "gpt2" }, byteIds } = options;
  requireInteger("trainBytePairs", "vocabSize", vocabSize, 256);
  requireInteger("trainBytePairs", "minFrequency", minFrequency, 1);
  const module = new TokenizerModule();
  const { exports } = module;
  module.setByteIds(byteIds);
  module.setScanner(scanner);
  exports.train_begin();
  let capacity = 1 << 16;
  let buffer = module.alloc(capacity);
  for (const text of texts) {
    if (text.length * 3 > capacity) {
      // What training keeps lies above the buffer, so that one is left behind rather than released.
      capacity = Math.max(capacity * 2, text.length * 3);
      buffer = module.alloc(capacity);
    }
    const length = encodeUtf8(text, module.view(buffer, text.length * 3));
    module.run("trainBytePairs", () => exports.train_feed(buffer, length));
  }
  const count = module.run("trainBytePairs", () => exports.train_run(vocabSize, minFrequency));
  return new Uint32Array(exports.memory.buffer, exports.trained_merges() >>> 0, count * 3).slice();
}
