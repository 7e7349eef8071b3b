/** Characters of UTF-8 text and their classes: a flat table for the basic plane, a binary search beyond it. */
import { alloc } from "./memory";
import { RUNS, RUNS_SIZE } from "./unicode-runs";

/** The classes of unicode-runs.ts: what no other class has, \p{M}, \p{N}, white space, and three kinds of letters. */
export const OTHER: u32 = 0;
export const MARK: u32 = 1;
export const NUMBER: u32 = 2;
export const SPACE: u32 = 3;
/** \p{Lu} and \p{Lt} */
export const UPPER: u32 = 4;
/** \p{Ll} */
export const LOWER: u32 = 5;
/** \p{Lm} and \p{Lo} */
export const CASELESS: u32 = 6;
/** Every letter, where the fine classes are not asked for. */
export const LETTER: u32 = 7;

/** (65536) u8: the class of each code point of the basic plane. */
let basic: usize = 0;
/** (runs) u32: first code point << 3 | class, ascending, beyond the basic plane. */
let beyond: usize = 0;
let beyondCount: i32 = 0;

/** Bytes of the character that was read last. */
export let width: u32 = 0;
/** Code point that was read last. */
export let codePoint: u32 = 0;

export function initUnicode(): void {
  basic = alloc(65536);
  beyond = alloc(RUNS_SIZE << 2);
  configureClasses(false);
}

/** Fine classes are those above; otherwise every letter is LETTER and marks are OTHER. */
export function configureClasses(fine: bool): void {
  beyondCount = 0;
  let code: u32 = 0;
  // Each run: its length << 3 | class in base 128, least significant digits first.
  for (let p = RUNS; p < RUNS + RUNS_SIZE; ) {
    let value: u32 = 0;
    let shift: u32 = 0;
    let digit: u32;
    do {
      digit = load<u8>(p++);
      value |= (digit & 127) << shift;
      shift += 7;
    } while (digit >= 128);
    let kind = value & 7;
    if (!fine) kind = kind >= UPPER ? LETTER : kind == MARK ? OTHER : kind;
    const end = code + (value >> 3);
    if (code < 0x10000) memory.fill(basic + code, <u8>kind, min(end, 0x10000) - code);
    if (end > 0x10000) store<u32>(beyond + (beyondCount++ << 2), (max(code, 0x10000) << 3) | kind);
    code = end;
  }
}

/** Class of the character at p, which must be the start of a well-formed UTF-8 sequence; sets width and codePoint. */
// @ts-ignore: decorator
@inline
export function classAt(p: usize): u32 {
  const b = <u32>load<u8>(p);
  if (b < 0x80) {
    width = 1;
    codePoint = b;
    return load<u8>(basic + b);
  }
  readBeyondAscii(p, b);
  return codePoint < 0x10000 ? load<u8>(basic + codePoint) : classBeyond();
}

/** Sets width and codePoint for the character at p. */
// @ts-ignore: decorator
@inline
export function readCharacter(p: usize): void {
  const b = <u32>load<u8>(p);
  if (b < 0x80) {
    width = 1;
    codePoint = b;
  } else readBeyondAscii(p, b);
}

function readBeyondAscii(p: usize, b: u32): void {
  const c = <u32>load<u8>(p, 1) & 63;
  if (b < 0xe0) {
    width = 2;
    codePoint = ((b & 31) << 6) | c;
    return;
  }
  const d = <u32>load<u8>(p, 2) & 63;
  if (b < 0xf0) {
    width = 3;
    codePoint = ((b & 15) << 12) | (c << 6) | d;
    return;
  }
  width = 4;
  codePoint = ((b & 7) << 18) | (c << 12) | (d << 6) | (<u32>load<u8>(p, 3) & 63);
}

function classBeyond(): u32 {
  let low = 0;
  let high = beyondCount - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (load<u32>(beyond + (<usize>middle << 2)) >> 3 > codePoint) high = middle - 1;
    else low = middle;
  }
  return load<u32>(beyond + (<usize>low << 2)) & 7;
}
