/** Entry of tokenizer.wasm: text to ids and back. One instance holds one vocabulary, or trains one. */
import { byteTable, configureBytePair, initBytePair, setAffixes } from "./tokenizer/byte-pair";
import { decode, decodedSize, setPieces } from "./tokenizer/decode";
import { configureModel, encode } from "./tokenizer/encode";
import { alloc, mark, release } from "./tokenizer/memory";
import { addMerges, beginMerges, mergeRows, mergesSize } from "./tokenizer/merges";
import { configureScanner } from "./tokenizer/scan";
import { trainBegin, trainFeed, trainRun, trainedMerges } from "./tokenizer/train";
import { buildTrie } from "./tokenizer/trie";
import { initUnicode } from "./tokenizer/unicode";
import { configureUnigram } from "./tokenizer/unigram";
import { findToken, indexTokens, setTokens, tokensSize } from "./tokenizer/vocabulary";
import { initWordCache } from "./tokenizer/word-cache";
import { configureWordLevel, configureWordPiece } from "./tokenizer/word-piece";

/** Builds the character classes; comes first. */
export function init(): void {
  initUnicode();
  initBytePair();
}

export {
  addMerges as add_merges,
  alloc,
  beginMerges as begin_merges,
  buildTrie as build_trie,
  byteTable as byte_table,
  configureBytePair as configure_byte_pair,
  configureModel as configure_model,
  configureScanner as configure_scanner,
  configureUnigram as configure_unigram,
  configureWordLevel as configure_word_level,
  configureWordPiece as configure_word_piece,
  decode,
  decodedSize as decoded_size,
  encode,
  findToken as find_token,
  indexTokens as index_tokens,
  initWordCache as init_word_cache,
  mark,
  mergeRows as merge_rows,
  mergesSize as merges_size,
  release,
  setAffixes as set_affixes,
  setPieces as set_pieces,
  setTokens as set_tokens,
  tokensSize as tokens_size,
  trainBegin as train_begin,
  trainFeed as train_feed,
  trainRun as train_run,
  trainedMerges as trained_merges,
};
