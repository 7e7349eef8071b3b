/** What the scanners share: contractions, runs of one class, white space. */
import { SPACE, classAt, width } from "./unicode";

/** Bytes of the contraction that begins with the apostrophe at p: 's 't 'm 'd 're 've 'll, or 0. `fold` 0x20 ignores case, 0 does not. */
// @ts-ignore: decorator
@inline
export function contraction(p: usize, end: usize, fold: u8): usize {
  const left = end - p;
  if (left < 2) return 0;
  const a = load<u8>(p, 1) | fold;
  if (a == 0x73 || a == 0x74 || a == 0x6d || a == 0x64) return 2;
  if (left < 3) return 0;
  const b = load<u8>(p, 2) | fold;
  if ((a == 0x72 || a == 0x76) && b == 0x65) return 3;
  if (a == 0x6c && b == 0x6c) return 3;
  // Case folding: U+017F is a long s.
  return fold != 0 && load<u16>(p, 1) == 0xbfc5 ? 3 : 0;
}

/** End of the run of one class from p. */
// @ts-ignore: decorator
@inline
export function run(p: usize, end: usize, kind: u32): usize {
  while (p < end && classAt(p) == kind) p += width;
  return p;
}

/** \s+(?!\S)|\s+ from p, where a white-space character stands: all of a run at the end, else all but its last character. */
export function spaces(p: usize, end: usize): usize {
  let last = p;
  let q = p;
  while (q < end && classAt(q) == SPACE) {
    last = q;
    q += width;
  }
  return q == end || last == p ? q : last;
}

/** \s*[\r\n]+|\s+(?!\S)|\s+ from p, where a white-space character stands. */
export function linesOrSpaces(p: usize, end: usize): usize {
  let lineEnd: usize = 0;
  let q = p;
  while (q < end && classAt(q) == SPACE) {
    if (isNewline(q)) lineEnd = q + 1;
    q += width;
  }
  return lineEnd != 0 ? lineEnd : spaces(p, end);
}

// @ts-ignore: decorator
@inline
export function isNewline(p: usize): bool {
  const b = load<u8>(p);
  return b == 0x0a || b == 0x0d;
}
