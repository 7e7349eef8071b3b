/** Text to ids: scan words, look each up in a cache, else turn it into symbols and merge them. */
import { alloc } from "./memory";
import { mergeWord } from "./merge";
import { beginScan, nextWord } from "./scan";
import { findCharacter, findToken } from "./tables";
import { classAt, codePoint, width } from "./unicode";

/** Direct-mapped; slots of 48 bytes: the word's 16 bytes zero-padded, length | count << 16, seven ids. Length 0 = empty. */
const CACHE_BITS: u64 = 15;
const SLOT_BYTES: usize = 48;
const CACHED_IDS: u32 = 7;
let cache: usize = 0;

/** (256) i32: the id of each byte's own token, or -1. */
let byteIds: usize = 0;
let byteLevel: bool = true;
let byteFallback: bool = false;
let ignoreMerges: bool = false;
let unknown: i32 = -1;
let fuseUnknown: bool = false;

export function initEncoder(): void {
  byteIds = alloc(1024);
  cache = alloc(SLOT_BYTES << <usize>CACHE_BITS);
  memory.fill(cache, 0, SLOT_BYTES << <usize>CACHE_BITS);
}

export function byteTable(): usize {
  return byteIds;
}

export function configureEncoder(isByteLevel: bool, hasByteFallback: bool, ignoresMerges: bool, unknownId: i32, fusesUnknown: bool): void {
  byteLevel = isByteLevel;
  byteFallback = hasByteFallback;
  ignoreMerges = ignoresMerges;
  unknown = unknownId;
  fuseUnknown = fusesUnknown;
}

/**
 * text (length) UTF-8, readable for 16 bytes beyond; out must hold `length` u32. Returns the number of ids.
 */
export function encode(text: usize, length: usize, out: usize): u32 {
  const end = text + length;
  let o = out;
  beginScan(text);
  for (let p = text; p < end; ) {
    const q = nextWord(p, end);
    o = encodeWord(p, q - p, o);
    p = q;
  }
  return <u32>((o - out) >> 2);
}

// @ts-ignore: decorator
@inline
function encodeWord(p: usize, length: usize, out: usize): usize {
  if (length > 16) return encodeSlow(p, length, out);
  let a = load<u64>(p);
  let b: u64 = 0;
  if (length < 8) a &= (1 << (<u64>length << 3)) - 1;
  else if (length > 8) {
    b = load<u64>(p, 8);
    if (length < 16) b &= (1 << ((<u64>length - 8) << 3)) - 1;
  }
  const slot = cache + <usize>(((a ^ rotl<u64>(b, 29)) * 0x9e3779b97f4a7c15) >> (64 - CACHE_BITS)) * SLOT_BYTES;
  if (load<u64>(slot) == a && load<u64>(slot, 8) == b && load<u16>(slot, 16) == <u16>length) {
    const count = <usize>load<u16>(slot, 18);
    store<u32>(out, load<u32>(slot, 20));
    for (let i: usize = 1; i < count; i++) store<u32>(out + (i << 2), load<u32>(slot + (i << 2), 20));
    return out + (count << 2);
  }
  const next = encodeSlow(p, length, out);
  const count = <u32>((next - out) >> 2);
  // No ids at all would make the copy above write past the room there is.
  if (count <= CACHED_IDS && count > 0) {
    store<u64>(slot, a);
    store<u64>(slot, b, 8);
    store<u16>(slot, <u16>length, 16);
    store<u16>(slot, <u16>count, 18);
    memory.copy(slot + 20, out, <usize>count << 2);
  }
  return next;
}

function encodeSlow(p: usize, length: usize, out: usize): usize {
  if (ignoreMerges) {
    const id = findToken(p, length);
    if (id >= 0) {
      store<u32>(out, id);
      return out + 4;
    }
  }
  const n = byteLevel ? byteSymbols(p, length, out) : characterSymbols(p, length, out);
  return out + (<usize>mergeWord(out, n) << 2);
}

function byteSymbols(p: usize, length: usize, out: usize): u32 {
  let n: usize = 0;
  for (let i: usize = 0; i < length; i++) {
    let id = load<i32>(byteIds + (<usize>load<u8>(p + i) << 2));
    if (id < 0) id = unknown;
    if (id < 0) continue;
    store<u32>(out + (n << 2), id);
    n += 1;
  }
  return <u32>n;
}

/** Characters, else their bytes where all have tokens, else the unknown token (once for a run of them when fused). */
function characterSymbols(p: usize, length: usize, out: usize): u32 {
  const end = p + length;
  let n: usize = 0;
  let afterUnknown = false;
  while (p < end) {
    classAt(p);
    const bytes = <usize>width;
    const id = findCharacter(codePoint);
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

function haveTokens(p: usize, bytes: usize): bool {
  for (let i: usize = 0; i < bytes; i++) {
    if (load<i32>(byteIds + (<usize>load<u8>(p + i) << 2)) < 0) return false;
  }
  return true;
}
