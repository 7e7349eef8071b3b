/** The vocabulary: bytes of each token by id, and the id by bytes. */
import { capacityFor, hashBytes } from "./hash";

/** Slots of 4 bytes: 10 bits of the hash, then id + 1 (0 = empty): most comparisons end before the token's bytes are touched. */
const INDEX_BITS: u32 = 22;
const INDEX: u32 = (1 << INDEX_BITS) - 1;

let offsets: usize = 0;
let bytes: usize = 0;
let size: u32 = 0;
let slots: usize = 0;
let mask: usize = 0;

/**
 * tokenOffsets (count + 1) u32 into tokenBytes, both of which stay where they are, as does `place` (as much as tokensSize says). No token can be
 * found before indexTokens.
 */
export function setTokens(place: usize, tokenOffsets: usize, tokenBytes: usize, count: u32): void {
  offsets = tokenOffsets;
  bytes = tokenBytes;
  size = count;
  const capacity = capacityFor(count);
  slots = place;
  mask = capacity - 1;
  memory.fill(slots, 0, capacity << 2);
}

/** Bytes that finding so many tokens takes. */
export function tokensSize(count: u32): usize {
  return capacityFor(count) << 2;
}

/** Lets tokens from ... to - 1 be found by their bytes. One without bytes cannot be; of equal tokens the last is found. */
export function indexTokens(from: u32, to: u32): void {
  for (let id = from; id < to; id++) {
    const length = tokenLength(id);
    if (length != 0) store<u32>(slotOf(tokenAt(id), length), ((hashBytes(tokenAt(id), length) >> INDEX_BITS) << INDEX_BITS) | (id + 1));
  }
}

export function tokenCount(): u32 {
  return size;
}

// @ts-ignore: decorator
@inline
export function tokenAt(id: u32): usize {
  return bytes + load<u32>(offsets + (<usize>id << 2));
}

// @ts-ignore: decorator
@inline
export function tokenLength(id: u32): usize {
  const at = offsets + (<usize>id << 2);
  return load<u32>(at, 4) - load<u32>(at);
}

/** Address of the slot that holds the token, or of the empty one where it would go. */
function slotOf(p: usize, length: usize): usize {
  const hash = hashBytes(p, length);
  const tag = hash >> INDEX_BITS;
  let slot = <usize>hash & mask;
  while (true) {
    const at = slots + (slot << 2);
    const entry = load<u32>(at);
    if (entry == 0) return at;
    if (entry >> INDEX_BITS == tag) {
      const id = (entry & INDEX) - 1;
      if (tokenLength(id) == length && memory.compare(tokenAt(id), p, length) == 0) return at;
    }
    slot = (slot + 1) & mask;
  }
}

/** Id of a byte string, or -1. */
export function findToken(p: usize, length: usize): i32 {
  return length == 0 ? -1 : <i32>(load<u32>(slotOf(p, length)) & INDEX) - 1;
}
