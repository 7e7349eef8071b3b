/** Character classes of UTF-8 text: a flat table for the basic plane, a binary search beyond it. */
import { alloc } from "./memory";
import { RANGES, RANGE_COUNT } from "./unicode-ranges";

export const OTHER: u32 = 0;
export const LETTER: u32 = 1;
export const NUMBER: u32 = 2;
export const SPACE: u32 = 3;

/** (65536) u8: the class of each code point of the basic plane. */
let basic: usize = 0;

/** Bytes of the character that classAt saw last. */
export let width: u32 = 0;
/** Code point that classAt saw last. */
export let codePoint: u32 = 0;

export function initUnicode(): void {
  basic = alloc(65536);
  memory.fill(basic, 0, 65536);
  for (let i = 0; i < RANGE_COUNT; i++) {
    const first = load<u32>(RANGES + (<usize>i << 3));
    const last = load<u32>(RANGES + (<usize>i << 3), 4);
    if (first > 0xffff) break;
    memory.fill(basic + first, <u8>(last >> 24), min(last & 0xffffff, 0xffff) - first + 1);
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
  return classBeyondAscii(p, b);
}

function classBeyondAscii(p: usize, b: u32): u32 {
  const c = <u32>load<u8>(p, 1) & 63;
  if (b < 0xe0) {
    width = 2;
    codePoint = ((b & 31) << 6) | c;
    return load<u8>(basic + codePoint);
  }
  const d = <u32>load<u8>(p, 2) & 63;
  if (b < 0xf0) {
    width = 3;
    codePoint = ((b & 15) << 12) | (c << 6) | d;
    return load<u8>(basic + codePoint);
  }
  width = 4;
  codePoint = ((b & 7) << 18) | (c << 12) | (d << 6) | (<u32>load<u8>(p, 3) & 63);
  let low = 0;
  let high = RANGE_COUNT - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = RANGES + (<usize>middle << 3);
    const last = load<u32>(at, 4);
    if (codePoint < load<u32>(at)) high = middle - 1;
    else if (codePoint > (last & 0xffffff)) low = middle + 1;
    else return last >> 24;
  }
  return OTHER;
}
