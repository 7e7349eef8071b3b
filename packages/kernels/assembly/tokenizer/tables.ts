/** Hash tables of a vocabulary: pair of ids -> (rank, merged id), byte string -> id, code point -> id. All open addressing. */
import { alloc, hashBytes } from "./memory";

/** No merge: greater than every (rank << 32 | id). */
export const NO_MERGE: u64 = u64.MAX_VALUE;

function capacityFor(count: usize): usize {
  let capacity: usize = 16;
  while (capacity < count << 1) capacity <<= 1;
  return capacity;
}

/** Entries of 16 bytes: left << 32 | right, then rank << 32 | id. */
let pairs: usize = 0;
let pairMask: usize = 0;

// @ts-ignore: decorator
@inline
export function pairHash(key: u64): usize {
  const h = key * 0x9e3779b97f4a7c15;
  return <usize>(h >> 32) ^ <usize>(h >> 51);
}

/** merges (count, 3) u32: left, right, merged; the row is the rank. */
export function setMerges(merges: usize, count: u32): void {
  const capacity = capacityFor(count);
  pairs = alloc(capacity << 4);
  pairMask = capacity - 1;
  memory.fill(pairs, 0xff, capacity << 4);
  for (let rank: u32 = 0; rank < count; rank++) {
    const row = merges + <usize>rank * 12;
    const key = ((<u64>load<u32>(row)) << 32) | <u64>load<u32>(row, 4);
    let slot = pairHash(key) & pairMask;
    let at = pairs + (slot << 4);
    while (load<u64>(at) != u64.MAX_VALUE && load<u64>(at) != key) {
      slot = (slot + 1) & pairMask;
      at = pairs + (slot << 4);
    }
    // A pair listed twice keeps its last rank, as a map insertion does.
    store<u64>(at, key);
    store<u64>(at, ((<u64>rank) << 32) | <u64>load<u32>(row, 8), 8);
  }
}

// @ts-ignore: decorator
@inline
export function findMerge(left: u32, right: u32): u64 {
  const key = ((<u64>left) << 32) | <u64>right;
  let slot = pairHash(key) & pairMask;
  while (true) {
    const at = pairs + (slot << 4);
    const found = load<u64>(at);
    if (found == key) return load<u64>(at, 8);
    if (found == u64.MAX_VALUE) return NO_MERGE;
    slot = (slot + 1) & pairMask;
  }
}

/** Entries of 16 bytes: address, length, id, hash | 1 (0 = empty). */
let tokens: usize = 0;
let tokenMask: usize = 0;

/** Makes room for `count` byte strings. */
export function initTokens(count: u32): void {
  const capacity = capacityFor(count);
  tokens = alloc(capacity << 4);
  tokenMask = capacity - 1;
  memory.fill(tokens, 0, capacity << 4);
}

/** Keeps the address: the bytes must stay where they are. */
export function addToken(p: usize, length: usize, id: u32): void {
  const hash = hashBytes(p, length) | 1;
  let slot = <usize>(hash >>> 1) & tokenMask;
  let at = tokens + (slot << 4);
  while (load<u32>(at, 12) != 0) {
    slot = (slot + 1) & tokenMask;
    at = tokens + (slot << 4);
  }
  store<u32>(at, <u32>p);
  store<u32>(at, <u32>length, 4);
  store<u32>(at, id, 8);
  store<u32>(at, hash, 12);
}

/** Id of a byte string, or -1. */
export function findToken(p: usize, length: usize): i32 {
  const hash = hashBytes(p, length) | 1;
  let slot = <usize>(hash >>> 1) & tokenMask;
  while (true) {
    const at = tokens + (slot << 4);
    const found = load<u32>(at, 12);
    if (found == 0) return -1;
    if (found == hash && <usize>load<u32>(at, 4) == length && memory.compare(<usize>load<u32>(at), p, length) == 0) return load<i32>(at, 8);
    slot = (slot + 1) & tokenMask;
  }
}

/** Entries of 8 bytes: code point + 1 (0 = empty), id. */
let characters: usize = 0;
let characterMask: usize = 0;

/** rows (count, 2) u32: code point, id. */
export function setCharacters(rows: usize, count: u32): void {
  const capacity = capacityFor(count);
  characters = alloc(capacity << 3);
  characterMask = capacity - 1;
  memory.fill(characters, 0, capacity << 3);
  for (let i: u32 = 0; i < count; i++) {
    const code = load<u32>(rows + (<usize>i << 3));
    let slot = <usize>(code * 0x9e3779b1 >>> 7) & characterMask;
    while (load<u32>(characters + (slot << 3)) != 0) slot = (slot + 1) & characterMask;
    store<u32>(characters + (slot << 3), code + 1);
    store<u32>(characters + (slot << 3), load<u32>(rows + (<usize>i << 3), 4), 4);
  }
}

/** Id of the token that is this one character, or -1. */
export function findCharacter(code: u32): i32 {
  let slot = <usize>(code * 0x9e3779b1 >>> 7) & characterMask;
  while (true) {
    const found = load<u32>(characters + (slot << 3));
    if (found == code + 1) return load<i32>(characters + (slot << 3), 4);
    if (found == 0) return -1;
    slot = (slot + 1) & characterMask;
  }
}
