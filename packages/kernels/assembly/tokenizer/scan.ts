/** Pre-tokenization: hand-written scanners with the semantics of the published regular expressions. */
import { LETTER, NUMBER, OTHER, SPACE, classAt, codePoint, width } from "./unicode";

export const WHOLE: u32 = 0;
export const GPT2: u32 = 1;
export const CL100K: u32 = 2;
export const METASPACE: u32 = 3;

let scanner: u32 = GPT2;
/** CL100K: most digits in one word. */
let digitLimit: u32 = 3;
/** GPT2: every number character is a word of its own, and ends the text for the words before it. */
let isolateDigits: bool = false;
let segmentEnd: usize = 0;

export function configureScanner(kind: u32, digits: u32, isolate: bool): void {
  scanner = kind;
  digitLimit = digits;
  isolateDigits = isolate;
}

export function beginScan(text: usize): void {
  segmentEnd = text;
}

/** End of the word that begins at p < end. */
export function nextWord(p: usize, end: usize): usize {
  if (scanner == GPT2) return isolateDigits ? nextIsolated(p, end) : nextGpt2(p, end);
  if (scanner == CL100K) return nextCl100k(p, end);
  return scanner == METASPACE ? nextMetaspace(p, end) : end;
}

/** Bytes of the contraction that follows the apostrophe at p: 's 't 'm 'd 're 've 'll, or 0. */
// @ts-ignore: decorator
@inline
function contraction(p: usize, end: usize, fold: u8): usize {
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

// @ts-ignore: decorator
@inline
function run(p: usize, end: usize, kind: u32): usize {
  while (p < end && classAt(p) == kind) p += width;
  return p;
}

/** \s+(?!\S)|\s+ from p, where a white-space character stands: all of a run at the end, else all but its last character. */
function spaces(p: usize, end: usize): usize {
  let last = p;
  let q = p;
  while (q < end && classAt(q) == SPACE) {
    last = q;
    q += width;
  }
  return q == end || last == p ? q : last;
}

/** 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
function nextGpt2(p: usize, end: usize): usize {
  const first = load<u8>(p);
  if (first == 0x27) {
    const length = contraction(p, end, 0);
    if (length != 0) return p + length;
  }
  const q = first == 0x20 && p + 1 < end ? p + 1 : p;
  const kind = classAt(q);
  return kind == SPACE ? spaces(p, end) : run(q + width, end, kind);
}

/** Number characters split the text first; the expression of GPT-2 then runs over each piece alone. */
function nextIsolated(p: usize, end: usize): usize {
  if (p >= segmentEnd) {
    if (classAt(p) == NUMBER) return p + width;
    let q = p;
    while (q < end && classAt(q) != NUMBER) q += width;
    segmentEnd = q;
  }
  return nextGpt2(p, segmentEnd);
}

// @ts-ignore: decorator
@inline
function isNewline(p: usize): bool {
  const b = load<u8>(p);
  return b == 0x0a || b == 0x0d;
}

/** (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,k}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
function nextCl100k(p: usize, end: usize): usize {
  const first = load<u8>(p);
  if (first == 0x27) {
    const length = contraction(p, end, 0x20);
    if (length != 0) return p + length;
  }
  let kind = classAt(p);
  let q = p + width;
  if (kind == LETTER) return run(q, end, LETTER);
  if (kind == NUMBER) {
    for (let k: u32 = 1; k < digitLimit && q < end && classAt(q) == NUMBER; k++) q += width;
    return q;
  }
  if (q < end && !isNewline(p)) {
    const next = classAt(q);
    if (next == LETTER) return run(q + width, end, LETTER);
    if (first == 0x20 && next == OTHER) {
      kind = OTHER;
      q += width;
    }
  }
  if (kind == OTHER) {
    q = run(q, end, OTHER);
    while (q < end && isNewline(q)) q += 1;
    return q;
  }
  let lineEnd: usize = 0;
  q = p;
  while (q < end && classAt(q) == SPACE) {
    q += width;
    if (codePoint == 0x0a || codePoint == 0x0d) lineEnd = q;
  }
  return lineEnd != 0 ? lineEnd : spaces(p, end);
}

/** Words begin at U+2581. */
function nextMetaspace(p: usize, end: usize): usize {
  classAt(p);
  for (p += width; p < end; p += width) {
    classAt(p);
    if (codePoint == 0x2581) break;
  }
  return p;
}
