/** Tokenizers: text to ids and back. */
export type { DecodeStream } from "./decode-stream";
export { splitExpressions } from "./scanners";
export type { TiktokenOptions } from "./tiktoken";
export { type DecodeOptions, type EncodeOptions, Tokenizer } from "./tokenizer";
export { TokenizerError } from "./tokenizer-error";
export type { AddedTokenJson, ComponentJson, ModelJson, TokenizerConfigJson, TokenizerJson, TokenNameJson } from "./tokenizer-json";
export type { TrainTokenizerOptions } from "./training";
