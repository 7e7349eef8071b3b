/** Entry of tokenizer.wasm: byte-pair encoding. One instance holds one vocabulary, or trains one. */
import { byteTable, configureEncoder, encode, initEncoder } from "./tokenizer/encode";
import { decode, decodedSize, setDecoder } from "./tokenizer/decode";
import { alloc, mark, release } from "./tokenizer/memory";
import { configureScanner } from "./tokenizer/scan";
import { addToken, initTokens, setCharacters, setMerges } from "./tokenizer/tables";
import { trainBegin, trainFeed, trainRun, trainedMerges } from "./tokenizer/train";
import { initUnicode } from "./tokenizer/unicode";

/** Builds the character classes and the empty word cache; comes first. */
export function init(): void {
  initUnicode();
  initEncoder();
}

export {
  addToken as add_token,
  alloc,
  byteTable as byte_table,
  configureEncoder as configure_encoder,
  configureScanner as configure_scanner,
  decode,
  decodedSize as decoded_size,
  encode,
  initTokens as init_tokens,
  mark,
  release,
  setCharacters as set_characters,
  setDecoder as set_decoder,
  setMerges as set_merges,
  trainBegin as train_begin,
  trainFeed as train_feed,
  trainRun as train_run,
  trainedMerges as trained_merges,
};
