/** Host-side deterministic mathematics: elementary functions, random numbers, rotary tables, advantages, byte-pair encoding. */
export * from "./advantages";
export { ArgumentError } from "./argument-error";
export * from "./byte-pair";
export { hostMath } from "./math";
export * from "./random";
export * from "./rope";
export { encodeUtf8, type Utf8Decoder, utf8Decoder } from "./web-assembly";
