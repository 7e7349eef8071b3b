/** A trie over the vocabulary's bytes, for models that match the tokens that begin at a place. */
import { capacityFor, hashWord } from "./hash";
import { alloc, mark, release } from "./memory";
import { findToken, tokenAt, tokenCount, tokenLength } from "./vocabulary";

/** The node of the empty string. */
export const ROOT: u32 = 0;
export const NO_NODE: u32 = u32.MAX_VALUE;

/** Transitions, 8 bytes each: node << 8 | byte, then the next node (0 = empty: nothing leads to the root). Nodes are below 2^24. */
let table: usize = 0;
let mask: usize = 0;
let nodes: u32 = 1;
/** (nodes) i32: id of the token that ends there, or -1. */
let ids: usize = 0;

// @ts-ignore: decorator
@inline
function entryOf(key: u32): usize {
  let slot = <usize>hashWord(key) & mask;
  while (true) {
    const at = table + (slot << 3);
    if (load<u32>(at, 4) == 0 || load<u32>(at) == key) return at;
    slot = (slot + 1) & mask;
  }
}

/** The node that a byte leads to, or NO_NODE. */
// @ts-ignore: decorator
@inline
export function step(node: u32, byte: u8): u32 {
  const next = load<u32>(entryOf((node << 8) | <u32>byte), 4);
  return next == 0 ? NO_NODE : next;
}

/** Id of the token that ends at a node, or -1. */
// @ts-ignore: decorator
@inline
export function tokenOf(node: u32): i32 {
  return load<i32>(ids + (<usize>node << 2));
}

/** Enters every token that can be found. False where there are too many nodes. Nothing may be allocated above the trie before this returns. */
export function buildTrie(): bool {
  const base = mark();
  mask = capacityFor(1 << 10) - 1;
  table = alloc((mask + 1) << 3);
  memory.fill(table, 0, (mask + 1) << 3);
  nodes = 1;
  const count = tokenCount();
  for (let id: u32 = 0; id < count; id++) {
    if (findToken(tokenAt(id), tokenLength(id)) != id) continue;
    let node = ROOT;
    const end = tokenAt(id) + tokenLength(id);
    for (let p = tokenAt(id); p < end; p++) {
      const key = (node << 8) | <u32>load<u8>(p);
      const at = entryOf(key);
      node = load<u32>(at, 4);
      if (node != 0) continue;
      if (nodes >= 0xffffff) return false;
      node = nodes++;
      store<u32>(at, key);
      store<u32>(at, node, 4);
      if (<usize>nodes * 3 > (mask + 1) << 1) grow(base);
    }
  }
  ids = alloc(<usize>nodes << 2);
  memory.fill(ids, 0xff, <usize>nodes << 2);
  for (let id: u32 = 0; id < count; id++) {
    const length = tokenLength(id);
    if (findToken(tokenAt(id), length) == id) store<u32>(ids + (<usize>walk(tokenAt(id), length) << 2), id);
  }
  return true;
}

/** The node of a byte string, or NO_NODE. */
export function walk(p: usize, length: usize): u32 {
  let node = ROOT;
  for (let end = p + length; p < end && node != NO_NODE; p++) node = step(node, load<u8>(p));
  return node;
}

/** Twice the table, made above the old one and moved down into its place. */
function grow(base: usize): void {
  const old = table;
  const oldCapacity = mask + 1;
  const capacity = oldCapacity << 1;
  mask = capacity - 1;
  table = alloc(capacity << 3);
  memory.fill(table, 0, capacity << 3);
  for (let i: usize = 0; i < oldCapacity; i++) {
    const entry = load<u64>(old + (i << 3));
    if (entry >> 32 != 0) store<u64>(entryOf(<u32>entry), entry);
  }
  memory.copy(old, table, capacity << 3);
  table = old;
  release(base);
  alloc(capacity << 3);
}
