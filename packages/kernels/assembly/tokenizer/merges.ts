/** The merges of a byte-pair vocabulary: pair of ids -> rank and merged id. */
import { alloc, mark, release } from "./memory";
import { capacityFor, hashWord } from "./hash";
import { findToken } from "./vocabulary";

/** No merge: greater than every (rank << 32 | id). */
export const NO_MERGE: u64 = u64.MAX_VALUE;

/** Slots of 4 bytes: 10 bits of the hash, then rank + 1 (0 = empty). */
const INDEX_BITS: u32 = 22;
const INDEX: u32 = (1 << INDEX_BITS) - 1;

/** (count, 3) u32: left, right, merged; the row is the rank. */
let rows: usize = 0;
let slots: usize = 0;
let mask: usize = 0;
let added: u32 = 0;
let skipped: usize = 0;

// @ts-ignore: decorator
@inline
function pairKey(left: u32, right: u32): u64 {
  return (<u64>left) | (<u64>right << 32);
}

/** Room for `count` merges at `place` (as much as mergesSize says). Of a merged token's right side the first `skip` bytes are left out. */
export function beginMerges(place: usize, count: u32, skip: usize): void {
  rows = place;
  slots = place + <usize>count * 12;
  const capacity = capacityFor(count);
  mask = capacity - 1;
  memory.fill(slots, 0, capacity << 2);
  added = 0;
  skipped = skip;
}

/**
 * The next merges in order of rank. lengths (count, 2) u32: bytes of the left and right side of each, which follow one another in `sides`.
 * Returns -1, or the rank of the first that is not made of tokens.
 */
export function addMerges(sides: usize, lengths: usize, count: u32): i32 {
  const before = mark();
  const joined = alloc(longest(lengths, count));
  for (let i: usize = 0; i < count; i++) {
    const leftLength = <usize>load<u32>(lengths + (i << 3));
    const rightLength = <usize>load<u32>(lengths + (i << 3), 4);
    const left = findToken(sides, leftLength);
    const right = findToken(sides + leftLength, rightLength);
    let merged = -1;
    if (rightLength >= skipped) {
      memory.copy(joined, sides, leftLength);
      memory.copy(joined + leftLength, sides + leftLength + skipped, rightLength - skipped);
      merged = findToken(joined, leftLength + rightLength - skipped);
    }
    if (left < 0 || right < 0 || merged < 0) return added;
    const row = rows + <usize>added * 12;
    store<u32>(row, left);
    store<u32>(row, right, 4);
    store<u32>(row, merged, 8);
    // A pair listed twice keeps its last rank, as a map insertion does.
    const tag = hashWord(pairKey(left, right)) >> INDEX_BITS;
    store<u32>(slotOf(left, right), (tag << INDEX_BITS) | (added + 1));
    added += 1;
    sides += leftLength + rightLength;
  }
  release(before);
  return -1;
}

function longest(lengths: usize, count: u32): usize {
  let result: usize = 0;
  for (let i: usize = 0; i < count; i++) result = max(result, <usize>load<u32>(lengths + (i << 3)) + load<u32>(lengths + (i << 3), 4));
  return result;
}

/** Bytes that so many merges take. */
export function mergesSize(count: u32): usize {
  return <usize>count * 12 + (capacityFor(count) << 2);
}

export function mergeRows(): usize {
  return rows;
}

/** Address of the slot that holds the pair, or of the empty one where it would go. */
// @ts-ignore: decorator
@inline
function slotOf(left: u32, right: u32): usize {
  const key = pairKey(left, right);
  const hash = hashWord(key);
  const tag = hash >> INDEX_BITS;
  let slot = <usize>hash & mask;
  while (true) {
    const at = slots + (slot << 2);
    const entry = load<u32>(at);
    if (entry == 0) return at;
    if (entry >> INDEX_BITS == tag && load<u64>(rows + <usize>((entry & INDEX) - 1) * 12) == key) return at;
    slot = (slot + 1) & mask;
  }
}

/** rank << 32 | merged id, or NO_MERGE. */
// @ts-ignore: decorator
@inline
export function findMerge(left: u32, right: u32): u64 {
  const entry = load<u32>(slotOf(left, right)) & INDEX;
  if (entry == 0) return NO_MERGE;
  return ((<u64>(entry - 1)) << 32) | <u64>load<u32>(rows + <usize>(entry - 1) * 12, 8);
}
