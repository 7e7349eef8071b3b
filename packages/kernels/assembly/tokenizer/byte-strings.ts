/** A set of byte strings that grows while training: string -> id. */
import { alloc } from "./memory";
import { capacityFor, hashBytes } from "./hash";

/** Entries of 16 bytes: address, length, id, hash | 1 (0 = empty). */
let entries: usize = 0;
let mask: usize = 0;

/** Makes room for `count` strings. */
export function initStrings(count: u32): void {
  const capacity = capacityFor(count);
  entries = alloc(capacity << 4);
  mask = capacity - 1;
  memory.fill(entries, 0, capacity << 4);
}

/** Address of the entry that holds the string, or of the empty one where it would go. */
function entryOf(p: usize, length: usize, hash: u32): usize {
  let slot = <usize>(hash >>> 1) & mask;
  while (true) {
    const at = entries + (slot << 4);
    const found = load<u32>(at, 12);
    if (found == 0) return at;
    if (found == hash && <usize>load<u32>(at, 4) == length && memory.compare(<usize>load<u32>(at), p, length) == 0) return at;
    slot = (slot + 1) & mask;
  }
}

/** Keeps the address: the bytes must stay where they are. */
export function addString(p: usize, length: usize, id: u32): void {
  const hash = hashBytes(p, length) | 1;
  const at = entryOf(p, length, hash);
  store<u32>(at, <u32>p);
  store<u32>(at, <u32>length, 4);
  store<u32>(at, id, 8);
  store<u32>(at, hash, 12);
}

/** Id of a string, or -1. */
export function findString(p: usize, length: usize): i32 {
  const at = entryOf(p, length, hashBytes(p, length) | 1);
  return load<u32>(at, 12) == 0 ? -1 : load<i32>(at, 8);
}
