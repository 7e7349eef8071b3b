/** Sets of code points as sorted ranges, and as bytes of UTF-8. */
import type { Language, Languages } from "./language";

/** First and last. */
export type Range = readonly [lo: number, hi: number];

const LAST = 0x10ffff;

/** Sorted, without overlaps and neighbours. */
export function union(ranges: readonly Range[]): Range[] {
  const result: [number, number][] = [];
  for (const [lo, hi] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && lo <= last[1] + 1) last[1] = Math.max(last[1], hi);
    else result.push([lo, hi]);
  }
  return result;
}

export function complement(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  let next = 0;
  for (const [lo, hi] of union(ranges)) {
    if (lo > next) result.push([next, lo - 1]);
    next = hi + 1;
  }
  if (next <= LAST) result.push([next, LAST]);
  return result;
}

export function difference(from: readonly Range[], without: readonly Range[]): Range[] {
  return complement([...complement(from), ...without]);
}

/** One character of the set in UTF-8; surrogates are none. */
export function utf8Character(languages: Languages, ranges: readonly Range[]): Language {
  const sequences = difference(ranges, [[0xd800, 0xdfff]]).flatMap(([lo, hi]) => byteRanges(lo, hi));
  return languages.choice(...sequences.map((bytes) => languages.sequence(...bytes.map(([from, to]) => languages.range(from, to)))));
}

/** Cuts a range until each piece is a product of ranges of bytes (the method of Rust's utf8-ranges). */
function byteRanges(lo: number, hi: number): Range[][] {
  for (const most of [0x7f, 0x7ff, 0xffff]) if (lo <= most && hi > most) return [...byteRanges(lo, most), ...byteRanges(most + 1, hi)];
  if (hi <= 0x7f) return [[[lo, hi]]];
  for (const bits of [6, 12, 18]) {
    const low = (1 << bits) - 1;
    if ((lo & ~low) === (hi & ~low)) continue;
    if ((lo & low) !== 0) return [...byteRanges(lo, lo | low), ...byteRanges((lo | low) + 1, hi)];
    if ((hi & low) !== low) return [...byteRanges(lo, (hi & ~low) - 1), ...byteRanges(hi & ~low, hi)];
  }
  const [from, to] = [bytesOf(lo), bytesOf(hi)];
  return [from.map((byte, i): Range => [byte, to[i] as number])];
}

function bytesOf(codePoint: number): number[] {
  const tail = (shift: number) => 0x80 | ((codePoint >>> shift) & 0x3f);
  if (codePoint <= 0x7ff) return [0xc0 | (codePoint >>> 6), tail(0)];
  if (codePoint <= 0xffff) return [0xe0 | (codePoint >>> 12), tail(6), tail(0)];
  return [0xf0 | (codePoint >>> 18), tail(12), tail(6), tail(0)];
}
