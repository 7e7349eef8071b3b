/** Byte-pair encoding of one word: its bytes or characters as symbols, then merging. */
import { alloc } from "./memory";
import { mergeWord } from "./merge";
import { codePoint, readCharacter, width } from "./unicode";
import { findToken } from "./vocabulary";

/** (256) i32: the id of each byte's own token, or -1. */
let byteIds: usize = 0;
let byteLevel: bool = true;
let byteFallback: bool = false;
let ignoreMerges: bool = false;
let unknown: i32 = -1;
let fuseUnknown: bool = false;

/** What symbols within a word begin with and a word's last symbol ends with, in the vocabulary only. */
let prefix: usize = 0;
let prefixLength: usize = 0;
let suffix: usize = 0;
let suffixLength: usize = 0;
let decorated: usize = 0;

export function initBytePair(): void {
  byteIds = alloc(1024);
}

export function byteTable(): usize {
  return byteIds;
}

export function configureBytePair(isByteLevel: bool, hasByteFallback: bool, ignoresMerges: bool, unknownId: i32, fusesUnknown: bool): void {
  byteLevel = isByteLevel;
  byteFallback = hasByteFallback;
  ignoreMerges = ignoresMerges;
  unknown = unknownId;
  fuseUnknown = fusesUnknown;
}

/** The bytes stay where they are. */
export function setAffixes(prefixBytes: usize, prefixSize: usize, suffixBytes: usize, suffixSize: usize): void {
  prefix = prefixBytes;
  prefixLength = prefixSize;
  suffix = suffixBytes;
  suffixLength = suffixSize;
  decorated = alloc(prefixSize + 4 + suffixSize);
}

/** Writes the ids of a word to `out`, which has room for one per byte, and returns the end of them. */
export function encodeBytePair(p: usize, length: usize, out: usize): usize {
  if (ignoreMerges) {
    const id = findToken(p, length);
    if (id >= 0) {
      store<u32>(out, id);
      return out + 4;
    }
  }
  const n = byteLevel && (prefixLength | suffixLength) == 0 ? byteSymbols(p, length, out) : characterSymbols(p, length, out);
  return out + (<usize>mergeWord(out, n) << 2);
}

function byteSymbols(p: usize, length: usize, out: usize): u32 {
  let n: usize = 0;
  let afterUnknown = false;
  for (let i: usize = 0; i < length; i++) {
    let id = load<i32>(byteIds + (<usize>load<u8>(p + i) << 2));
    if (id < 0) {
      if (unknown < 0 || (fuseUnknown && afterUnknown)) continue;
      id = unknown;
      afterUnknown = true;
    } else afterUnknown = false;
    store<u32>(out + (n << 2), id);
    n += 1;
  }
  return <u32>n;
}

/** Characters, else their bytes where all have tokens, else the unknown token (once for a run of them when fused). */
function characterSymbols(p: usize, length: usize, out: usize): u32 {
  const start = p;
  const end = p + length;
  let n: usize = 0;
  let afterUnknown = false;
  while (p < end) {
    let bytes: usize = 1;
    if (!byteLevel) {
      readCharacter(p);
      bytes = <usize>width;
    }
    const id = findSymbol(p, bytes, p > start, p + bytes == end);
    if (id >= 0) {
      store<u32>(out + (n++ << 2), id);
      afterUnknown = false;
    } else if (byteFallback && haveTokens(p, bytes)) {
      for (let i: usize = 0; i < bytes; i++) store<i32>(out + (n++ << 2), load<i32>(byteIds + (<usize>load<u8>(p + i) << 2)));
      afterUnknown = false;
    } else if (unknown >= 0) {
      if (!(fuseUnknown && afterUnknown)) store<u32>(out + (n++ << 2), unknown);
      afterUnknown = true;
    }
    p += bytes;
  }
  return <u32>n;
}

function findSymbol(p: usize, length: usize, isWithin: bool, isLast: bool): i32 {
  const before = isWithin ? prefixLength : 0;
  const after = isLast ? suffixLength : 0;
  if ((before | after) == 0) return findToken(p, length);
  memory.copy(decorated, prefix, before);
  memory.copy(decorated + before, p, length);
  memory.copy(decorated + before + length, suffix, after);
  return findToken(decorated, before + length + after);
}

function haveTokens(p: usize, bytes: usize): bool {
  for (let i: usize = 0; i < bytes; i++) {
    if (load<i32>(byteIds + (<usize>load<u8>(p + i) << 2)) < 0) return false;
  }
  return true;
}
