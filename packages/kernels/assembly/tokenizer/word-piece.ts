/** WordPiece segmentation of one word: the longest token that fits, again and again; and whole words (WordLevel). */
import { NO_NODE, ROOT, step, tokenOf, walk } from "./trie";
import { findToken } from "./vocabulary";

let unknown: u32 = 0;
/** The node of what tokens within a word begin with. */
let within: u32 = ROOT;
let maxCharacters: u32 = 100;

/** Longer words, and words that no tokens make up, are the unknown token. The trie must have been built. */
export function configureWordPiece(unknownId: u32, prefix: usize, prefixLength: usize, maxInputCharacters: u32): void {
  unknown = unknownId;
  within = walk(prefix, prefixLength);
  maxCharacters = maxInputCharacters;
}

export function configureWordLevel(unknownId: u32): void {
  unknown = unknownId;
}

/** Writes the ids of a word to `out`, which has room for one per byte, and returns the end of them. */
export function encodeWordPiece(p: usize, length: usize, out: usize): usize {
  const from = out;
  const end = p + length;
  if (characters(p, end) > maxCharacters) return one(unknown, from);
  for (let start = p; start < end; ) {
    let node = start == p ? ROOT : within;
    let id = -1;
    let longest = start;
    for (let q = start; q < end && node != NO_NODE; ) {
      node = step(node, load<u8>(q));
      q += 1;
      if (node == NO_NODE) break;
      const found = tokenOf(node);
      if (found < 0) continue;
      id = found;
      longest = q;
    }
    if (id < 0) return one(unknown, from);
    store<u32>(out, id);
    out += 4;
    start = longest;
  }
  return out;
}

/** One id for the whole word. */
export function encodeWordLevel(p: usize, length: usize, out: usize): usize {
  const id = findToken(p, length);
  return one(id < 0 ? unknown : id, out);
}

function one(id: u32, out: usize): usize {
  store<u32>(out, id);
  return out + 4;
}

function characters(p: usize, end: usize): u32 {
  let count: u32 = 0;
  for (; p < end; p++) count += <u32>((load<u8>(p) & 0xc0) != 0x80);
  return count;
}
