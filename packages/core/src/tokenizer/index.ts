/** Tokenizers: text to ids and back. */
export { DecodeStream } from "./decode-stream";
export { type DecodeOptions, type EncodeOptions, Tokenizer, type TrainTokenizerOptions } from "./tokenizer";
export { TokenizerError } from "./tokenizer-error";
export type { AddedTokenJson, ComponentJson, TokenizerConfigJson, TokenizerJson, TokenNameJson } from "./tokenizer-json";
