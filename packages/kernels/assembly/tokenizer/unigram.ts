/**
 * Unigram segmentation of one word: the tokens with the greatest sum of scores (Kudo 2018; the search of Hugging Face tokenizers 0.23,
 * `Unigram::encode_optimized`, with its rules for ties, unknown characters and byte fallback).
 */
import { byteTable } from "./byte-pair";
import { alloc, mark, release } from "./memory";
import { NO_NODE, ROOT, step, tokenOf } from "./trie";
import { readCharacter, width } from "./unicode";
import { findToken } from "./vocabulary";

/** How much less likely an unknown character is than the least likely token. */
const UNKNOWN_PENALTY: f64 = 10;
const NOWHERE: u32 = u32.MAX_VALUE;

/** (V) f64 */
let scores: usize = 0;
let unknown: u32 = 0;
let unknownScore: f64 = 0;
let byteFallback: bool = false;

/** The scores stay where they are. */
export function configureUnigram(tokenScores: usize, lowest: f64, unknownId: u32, hasByteFallback: bool): void {
  scores = tokenScores;
  unknown = unknownId;
  unknownScore = lowest - UNKNOWN_PENALTY;
  byteFallback = hasByteFallback;
}

/** Best path to each byte: f64 score, u32 start of its last token (NOWHERE = not reached), u32 id. */
let best: usize = 0;

// @ts-ignore: decorator
@inline
function offer(end: usize, start: usize, id: u32, score: f64): void {
  const at = best + (end << 4);
  if (load<u32>(at, 8) != NOWHERE && !(score > load<f64>(at))) return;
  store<f64>(at, score);
  store<u32>(at, <u32>start, 8);
  store<u32>(at, id, 12);
}

/** Writes the ids of a word to `out`, which has room for one per byte, and returns the end of them. */
export function encodeUnigram(p: usize, length: usize, out: usize): usize {
  const before = mark();
  best = alloc((length + 1) << 4);
  for (let i: usize = 0; i <= length; i++) store<u32>(best + (i << 4), NOWHERE, 8);
  store<f64>(best, 0);
  for (let start: usize = 0; start < length; ) {
    const score = load<f64>(best + (start << 4));
    readCharacter(p + start);
    const single = start + <usize>width;
    let hasSingle = false;
    let node = ROOT;
    for (let end = start; end < length; ) {
      node = step(node, load<u8>(p + end));
      if (node == NO_NODE) break;
      end += 1;
      const id = tokenOf(node);
      if (id < 0) continue;
      offer(end, start, id, load<f64>(scores + (<usize>id << 3)) + score);
      if (end == single) hasSingle = true;
    }
    if (!hasSingle) offer(single, start, unknown, unknownScore + score);
    start = single;
  }
  // From the end to the beginning: the place of a score now holds where the token that begins there ends.
  for (let end = length; end > 0; ) {
    const start = <usize>load<u32>(best + (end << 4), 8);
    store<u32>(best + (start << 4), <u32>end);
    end = start;
  }
  for (let start: usize = 0; start < length; ) {
    let end = <usize>load<u32>(best + (start << 4));
    const id = load<u32>(best + (end << 4), 12);
    if (id == unknown) {
      // A run of unknown characters is one.
      while (end < length && load<u32>(best + (<usize>load<u32>(best + (end << 4)) << 4), 12) == unknown) end = <usize>load<u32>(best + (end << 4));
      out = unknownRun(p + start, end - start, out);
    } else {
      store<u32>(out, id);
      out += 4;
    }
    start = end;
  }
  release(before);
  return out;
}

function unknownRun(p: usize, length: usize, out: usize): usize {
  const id = findToken(p, length);
  if (id >= 0 || !byteFallback) {
    store<u32>(out, id >= 0 ? id : unknown);
    return out + 4;
  }
  for (let i: usize = 0; i < length; i++) {
    const byte = load<i32>(byteTable() + (<usize>load<u8>(p + i) << 2));
    if (byte < 0) {
      store<u32>(out, unknown);
      return out + 4;
    }
    store<i32>(out + (i << 2), byte);
  }
  return out + (length << 2);
}
