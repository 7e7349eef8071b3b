/** Hashes for the open-addressing tables: take their slots from the high bits. */

const MULTIPLIER: u64 = 0x9e3779b97f4a7c15;

/** The low `length` bytes of a word, the rest 0; length 1 ... 8. */
// @ts-ignore: decorator
@inline
export function lowBytes(word: u64, length: usize): u64 {
  return word & (u64.MAX_VALUE >> (64 - (<u64>length << 3)));
}

/** Eight bytes at a time. The 7 bytes beyond the last must be readable. */
export function hashBytes(p: usize, length: usize): u32 {
  let h: u64 = <u64>length * MULTIPLIER;
  while (length > 8) {
    h = (rotl<u64>(h, 23) ^ load<u64>(p)) * MULTIPLIER;
    p += 8;
    length -= 8;
  }
  if (length > 0) h = (rotl<u64>(h, 23) ^ lowBytes(load<u64>(p), length)) * MULTIPLIER;
  return <u32>((h ^ (h >> 29)) * MULTIPLIER >> 32);
}

// @ts-ignore: decorator
@inline
export function hashWord(key: u64): u32 {
  const h = key * MULTIPLIER;
  return <u32>((h ^ (h >> 32)) * MULTIPLIER >> 32);
}

/** The smallest power of two, at least 16, of which `count` entries fill no more than four fifths: tables that fit the processor's cache beat sparse ones. */
export function capacityFor(count: usize): usize {
  let capacity: usize = 16;
  while (capacity << 2 < count * 5) capacity <<= 1;
  return capacity;
}
