/** Ids of words seen before. Direct-mapped: a word replaces the one that had its slot. */
import { hashBytes, lowBytes } from "./hash";
import { alloc } from "./memory";

/** Short words, in slots of 48 bytes: the word's 16 bytes zero-padded, length | count << 16, seven ids. Length 0 = empty. */
const SHORT_BITS: u64 = 14;
const SHORT_SLOT: usize = 48;
const SHORT_LENGTH: usize = 16;
const SHORT_IDS: u32 = 7;

/** Longer words, in slots of 16 bytes: hash, offset of the entry, length, count (0 = empty). An entry is the ids, then the bytes. */
const LONG_BITS: u32 = 12;
const LONG_SLOT: usize = 16;
const LONG_LENGTH: usize = 128;
const ENTRIES_SIZE: usize = 384 << 10;

let short: usize = 0;
let long: usize = 0;
let entries: usize = 0;
let entriesUsed: usize = 0;

export function initWordCache(): void {
  short = alloc(SHORT_SLOT << <usize>SHORT_BITS);
  long = alloc(LONG_SLOT << <usize>LONG_BITS);
  entries = alloc(ENTRIES_SIZE);
  memory.fill(short, 0, SHORT_SLOT << <usize>SHORT_BITS);
  clearLong();
}

function clearLong(): void {
  memory.fill(long, 0, LONG_SLOT << <usize>LONG_BITS);
  entriesUsed = 0;
}

/** Where the word that was not found goes; 0 = nowhere. */
let place: usize = 0;
let low: u64 = 0;
let high: u64 = 0;
let hash: u32 = 0;

/** Copies the word's ids to `out` and returns the end of them, or 0; then `remember` may be called with what they are. 16 bytes beyond the word must be readable. */
// @ts-ignore: decorator
@inline
export function recall(p: usize, length: usize, out: usize): usize {
  if (length > SHORT_LENGTH) return recallLong(p, length, out);
  let a = load<u64>(p);
  let b: u64 = 0;
  if (length <= 8) a = lowBytes(a, length);
  else b = lowBytes(load<u64>(p, 8), length - 8);
  const slot = short + <usize>(((a ^ rotl<u64>(b, 29)) * 0x9e3779b97f4a7c15) >> (64 - SHORT_BITS)) * SHORT_SLOT;
  if (load<u64>(slot) == a && load<u64>(slot, 8) == b && load<u16>(slot, 16) == <u16>length) {
    const count = <usize>load<u16>(slot, 18);
    store<u32>(out, load<u32>(slot, 20));
    for (let i: usize = 1; i < count; i++) store<u32>(out + (i << 2), load<u32>(slot + (i << 2), 20));
    return out + (count << 2);
  }
  place = slot;
  low = a;
  high = b;
  return 0;
}

function recallLong(p: usize, length: usize, out: usize): usize {
  place = 0;
  if (length > LONG_LENGTH) return 0;
  hash = hashBytes(p, length);
  place = long + <usize>(hash >>> (32 - LONG_BITS)) * LONG_SLOT;
  if (load<u32>(place) != hash || <usize>load<u16>(place, 8) != length) return 0;
  const count = <usize>load<u16>(place, 10);
  const entry = entries + load<u32>(place, 4);
  if (count == 0 || !equal(entry + (count << 2), p, length)) return 0;
  memory.copy(out, entry, count << 2);
  return out + (count << 2);
}

// @ts-ignore: decorator
@inline
function equal(a: usize, b: usize, length: usize): bool {
  let i: usize = 0;
  for (; i + 8 <= length; i += 8) {
    if (load<u64>(a + i) != load<u64>(b + i)) return false;
  }
  return i == length || lowBytes(load<u64>(a + i) ^ load<u64>(b + i), length - i) == 0;
}

/** Keeps the ids of the word that `recall` has just not found. */
export function remember(p: usize, length: usize, out: usize, end: usize): void {
  const count = <u32>((end - out) >> 2);
  // No ids at all would make a copy above write past the room there is.
  if (place == 0 || count == 0) return;
  if (length <= SHORT_LENGTH) {
    if (count > SHORT_IDS) return;
    store<u64>(place, low);
    store<u64>(place, high, 8);
    store<u16>(place, <u16>length, 16);
    store<u16>(place, <u16>count, 18);
    memory.copy(place + 20, out, <usize>count << 2);
    return;
  }
  const size = (<usize>count << 2) + length;
  // 8 bytes beyond the last entry stay readable.
  if (entriesUsed + size + 8 > ENTRIES_SIZE) clearLong();
  store<u32>(place, hash);
  store<u32>(place, <u32>entriesUsed, 4);
  store<u16>(place, <u16>length, 8);
  store<u16>(place, <u16>count, 10);
  memory.copy(entries + entriesUsed, out, <usize>count << 2);
  memory.copy(entries + entriesUsed + (<usize>count << 2), p, length);
  entriesUsed += size;
}
