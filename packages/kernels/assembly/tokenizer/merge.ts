/** Byte-pair merging of one word: lowest rank first, leftmost first. Short words by scanning, long ones by a heap. */
import { alloc, mark, release } from "./memory";
import { NO_MERGE, findMerge } from "./merges";

/** Longest word the scan takes: its cost is quadratic. */
const SCAN_LIMIT: u32 = 48;
const NONE: u32 = u32.MAX_VALUE;

/** (48) u64: the merge of each symbol with its right neighbour. */
const candidates: usize = memory.data(48 * 8);

/** Merges symbols (n) u32 in place and returns how many are left. */
export function mergeWord(symbols: usize, n: u32): u32 {
  return n <= SCAN_LIMIT ? mergeByScan(symbols, n) : mergeByHeap(symbols, n);
}

function mergeByScan(symbols: usize, n: u32): u32 {
  if (n < 2) return n;
  let last = n - 1;
  for (let i: u32 = 0; i < last; i++) {
    const at = symbols + (<usize>i << 2);
    store<u64>(candidates + (<usize>i << 3), findMerge(load<u32>(at), load<u32>(at, 4)));
  }
  while (last > 0) {
    let best = NO_MERGE;
    let where: u32 = 0;
    for (let i: u32 = 0; i < last; i++) {
      const candidate = load<u64>(candidates + (<usize>i << 3));
      if (candidate < best) {
        best = candidate;
        where = i;
      }
    }
    if (best == NO_MERGE) break;
    const at = symbols + (<usize>where << 2);
    const slot = candidates + (<usize>where << 3);
    store<u32>(at, <u32>best);
    for (let i = where + 1; i < last; i++) {
      store<u32>(symbols + (<usize>i << 2), load<u32>(symbols + (<usize>i << 2), 4));
      store<u64>(candidates + (<usize>(i - 1) << 3), load<u64>(candidates + (<usize>i << 3)));
    }
    last -= 1;
    if (where < last) store<u64>(slot, findMerge(load<u32>(at), load<u32>(at, 4)));
    if (where > 0) store<u64>(slot - 8, findMerge(load<u32>(at - 4), load<u32>(at)));
  }
  return last + 1;
}

let heap: usize = 0;
let heapSize: u32 = 0;

// @ts-ignore: decorator
@inline
function heapAt(i: u32): usize {
  return heap + (<usize>i << 3);
}

function heapPush(key: u64): void {
  let i = heapSize++;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    const above = load<u64>(heapAt(parent));
    if (above <= key) break;
    store<u64>(heapAt(i), above);
    i = parent;
  }
  store<u64>(heapAt(i), key);
}

function heapPop(): u64 {
  const result = load<u64>(heap);
  heapSize -= 1;
  const key = load<u64>(heapAt(heapSize));
  let i: u32 = 0;
  while (true) {
    let child = (i << 1) + 1;
    if (child >= heapSize) break;
    if (child + 1 < heapSize && load<u64>(heapAt(child + 1)) < load<u64>(heapAt(child))) child += 1;
    if (load<u64>(heapAt(child)) >= key) break;
    store<u64>(heapAt(i), load<u64>(heapAt(child)));
    i = child;
  }
  store<u64>(heapAt(i), key);
  return result;
}

/** Keys are rank << 32 | position; a key is stale when the pair at its position no longer has its rank. */
function mergeByHeap(symbols: usize, n: u32): u32 {
  const before = mark();
  const next = alloc(<usize>n << 2);
  const previous = alloc(<usize>n << 2);
  heap = alloc(<usize>n * 24);
  heapSize = 0;
  for (let i: u32 = 0; i < n; i++) {
    store<u32>(next + (<usize>i << 2), i + 1 < n ? i + 1 : NONE);
    store<u32>(previous + (<usize>i << 2), i > 0 ? i - 1 : NONE);
    if (i + 1 < n) pushPair(symbols, i, i + 1);
  }
  while (heapSize > 0) {
    const key = heapPop();
    const i = <u32>key;
    const right = load<u32>(next + (<usize>i << 2));
    const symbol = load<u32>(symbols + (<usize>i << 2));
    // A symbol merged into its left neighbour is marked NONE.
    if (right == NONE || symbol == NONE) continue;
    const merge = findMerge(symbol, load<u32>(symbols + (<usize>right << 2)));
    if (merge == NO_MERGE || merge >> 32 != key >> 32) continue;
    store<u32>(symbols + (<usize>i << 2), <u32>merge);
    store<u32>(symbols + (<usize>right << 2), NONE);
    const after = load<u32>(next + (<usize>right << 2));
    store<u32>(next + (<usize>i << 2), after);
    if (after != NONE) {
      store<u32>(previous + (<usize>after << 2), i);
      pushPair(symbols, i, after);
    }
    const left = load<u32>(previous + (<usize>i << 2));
    if (left != NONE) pushPair(symbols, left, i);
  }
  let count: u32 = 0;
  for (let i: u32 = 0; i != NONE; i = load<u32>(next + (<usize>i << 2))) {
    store<u32>(symbols + (<usize>count << 2), load<u32>(symbols + (<usize>i << 2)));
    count += 1;
  }
  release(before);
  return count;
}

function pushPair(symbols: usize, left: u32, right: u32): void {
  const merge = findMerge(load<u32>(symbols + (<usize>left << 2)), load<u32>(symbols + (<usize>right << 2)));
  if (merge != NO_MERGE) heapPush((merge & 0xffffffff00000000) | <u64>left);
}
