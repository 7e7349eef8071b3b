/** Host-side deterministic mathematics: elementary functions, random numbers, rotary tables, advantages, tokenizers. */
export { ArgumentError } from "./argument-error";
export * from "./byte-pair-training";
export * from "./group-advantages";
export { hostMath } from "./math";
export * from "./random";
export type { RewardScale } from "./reward-scale";
export * from "./rope";
export * from "./token-advantages";
export * from "./token-encoder";
export type { Scanner } from "./tokenizer-module";
export { encodeUtf8, type Utf8Decoder, utf8Decoder } from "./web-assembly";
