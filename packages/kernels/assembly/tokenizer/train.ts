/** Byte-pair training: count words, then merge the most frequent pair until the vocabulary is full; ties take the smallest pair of ids. */
import { byteTable } from "./byte-pair";
import { addString, findString, initStrings } from "./byte-strings";
import { hashBytes, hashWord } from "./hash";
import { Vector, alloc, push, vector } from "./memory";
import { beginScan, nextWord } from "./scan";

const EMPTY: u32 = 0;

/** Words: 16 bytes each: hash, offset of the bytes (later of the symbols), length, count. */
let words: Vector = changetype<Vector>(0);
let letters: Vector = changetype<Vector>(0);
/** Word index + 1 per slot. */
let wordSlots: usize = 0;
let wordMask: usize = 0;

/** Pairs: 32 bytes each: key, count (i64), head of the list of words (node + 1), word listed last + 1, iteration of the last rise. */
let pairs: Vector = changetype<Vector>(0);
let pairSlots: usize = 0;
let pairMask: usize = 0;
/** Nodes: word, next node + 1. */
let nodes: Vector = changetype<Vector>(0);
/** Heap of 16 bytes: count when pushed, pair. Entries go stale and are corrected when popped. */
let queue: Vector = changetype<Vector>(0);
/** Pairs whose count rose in this iteration. */
let risen: Vector = changetype<Vector>(0);
let iteration: u32 = 0;

/** (merges, 3) u32: left, right, merged. */
let merges: Vector = changetype<Vector>(0);

export function trainBegin(): void {
  words = vector(1 << 16);
  letters = vector(1 << 16);
  wordMask = (1 << 14) - 1;
  wordSlots = alloc((wordMask + 1) << 2);
  memory.fill(wordSlots, 0, (wordMask + 1) << 2);
}

/** Counts the words of text (length) UTF-8. Must not be called with the text below the current mark released: words are copied. */
export function trainFeed(text: usize, length: usize): void {
  const end = text + length;
  beginScan(text);
  for (let p = text; p < end; ) {
    const q = nextWord(p, end);
    countWord(p, q - p);
    p = q;
  }
}

function countWord(p: usize, length: usize): void {
  const hash = hashBytes(p, length);
  let slot = <usize>hash & wordMask;
  while (true) {
    const index = load<u32>(wordSlots + (slot << 2));
    if (index == EMPTY) break;
    const word = words.data + (<usize>(index - 1) << 4);
    if (load<u32>(word) == hash && <usize>load<u32>(word, 8) == length && memory.compare(letters.data + load<u32>(word, 4), p, length) == 0) {
      store<u32>(word, load<u32>(word, 12) + 1, 12);
      return;
    }
    slot = (slot + 1) & wordMask;
  }
  const at = letters.length;
  memory.copy(push(letters, length), p, length);
  const word = push(words, 16);
  store<u32>(word, hash);
  store<u32>(word, <u32>at, 4);
  store<u32>(word, <u32>length, 8);
  store<u32>(word, 1, 12);
  const count = words.length >> 4;
  store<u32>(wordSlots + (slot << 2), <u32>count);
  if (count << 1 > wordMask) growWordSlots();
}

function growWordSlots(): void {
  wordMask = (wordMask << 1) | 1;
  wordSlots = alloc((wordMask + 1) << 2);
  memory.fill(wordSlots, 0, (wordMask + 1) << 2);
  const count = words.length >> 4;
  for (let i: usize = 0; i < count; i++) {
    let slot = <usize>load<u32>(words.data + (i << 4)) & wordMask;
    while (load<u32>(wordSlots + (slot << 2)) != EMPTY) slot = (slot + 1) & wordMask;
    store<u32>(wordSlots + (slot << 2), <u32>i + 1);
  }
}

/** Index of the pair's entry, made if there is none. */
function pairIndex(left: u32, right: u32): u32 {
  const key = ((<u64>left) << 32) | <u64>right;
  let slot = <usize>hashWord(key) & pairMask;
  while (true) {
    const index = load<u32>(pairSlots + (slot << 2));
    if (index == EMPTY) break;
    if (load<u64>(pairs.data + (<usize>(index - 1) << 5)) == key) return index - 1;
    slot = (slot + 1) & pairMask;
  }
  const entry = push(pairs, 32);
  memory.fill(entry, 0, 32);
  store<u64>(entry, key);
  const count = <u32>(pairs.length >> 5);
  store<u32>(pairSlots + (slot << 2), count);
  if (<usize>count << 1 > pairMask) resizePairSlots((pairMask << 1) | 1);
  return count - 1;
}

function resizePairSlots(mask: usize): void {
  pairMask = mask;
  pairSlots = alloc((mask + 1) << 2);
  memory.fill(pairSlots, 0, (mask + 1) << 2);
  const count = pairs.length >> 5;
  for (let i: usize = 0; i < count; i++) {
    let slot = <usize>hashWord(load<u64>(pairs.data + (i << 5))) & mask;
    while (load<u32>(pairSlots + (slot << 2)) != EMPTY) slot = (slot + 1) & mask;
    store<u32>(pairSlots + (slot << 2), <u32>i + 1);
  }
}

function lower(left: u32, right: u32, by: i64): void {
  const entry = pairs.data + (<usize>pairIndex(left, right) << 5);
  store<i64>(entry, load<i64>(entry, 8) - by, 8);
}

function raise(left: u32, right: u32, by: i64, word: u32): void {
  const index = pairIndex(left, right);
  const entry = pairs.data + (<usize>index << 5);
  store<i64>(entry, load<i64>(entry, 8) + by, 8);
  if (load<u32>(entry, 20) != word + 1) {
    store<u32>(entry, word + 1, 20);
    const node = push(nodes, 8);
    store<u32>(node, word);
    store<u32>(node, load<u32>(entry, 16), 4);
    store<u32>(entry, <u32>(nodes.length >> 3), 16);
  }
  if (load<u32>(entry, 24) != iteration) {
    store<u32>(entry, iteration, 24);
    store<u32>(push(risen, 4), index);
  }
}

/** Higher count first, then the smaller pair. */
// @ts-ignore: decorator
@inline
function before(countA: i64, pairA: u32, countB: i64, pairB: u32): bool {
  if (countA != countB) return countA > countB;
  return load<u64>(pairs.data + (<usize>pairA << 5)) < load<u64>(pairs.data + (<usize>pairB << 5));
}

function enqueue(pair: u32): void {
  const count = load<i64>(pairs.data + (<usize>pair << 5), 8);
  if (count < 1) return;
  push(queue, 16);
  let i = (queue.length >> 4) - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    const at = queue.data + (parent << 4);
    if (!before(count, pair, load<i64>(at), load<u32>(at, 8))) break;
    memory.copy(queue.data + (i << 4), at, 16);
    i = parent;
  }
  store<i64>(queue.data + (i << 4), count);
  store<u32>(queue.data + (i << 4), pair, 8);
}

let poppedCount: i64 = 0;

function dequeue(): u32 {
  poppedCount = load<i64>(queue.data);
  const result = load<u32>(queue.data, 8);
  const size = (queue.length >> 4) - 1;
  queue.length = size << 4;
  const count = load<i64>(queue.data + (size << 4));
  const pair = load<u32>(queue.data + (size << 4), 8);
  let i: usize = 0;
  while (true) {
    let child = (i << 1) + 1;
    if (child >= size) break;
    let at = queue.data + (child << 4);
    if (child + 1 < size && before(load<i64>(at, 16), load<u32>(at, 24), load<i64>(at), load<u32>(at, 8))) {
      child += 1;
      at += 16;
    }
    if (!before(load<i64>(at), load<u32>(at, 8), count, pair)) break;
    memory.copy(queue.data + (i << 4), at, 16);
    i = child;
  }
  store<i64>(queue.data + (i << 4), count);
  store<u32>(queue.data + (i << 4), pair, 8);
  return result;
}

/** Replaces left, right by merged throughout one word and moves the counts of the pairs around it. */
function mergeInWord(word: u32, left: u32, right: u32, merged: u32): void {
  const entry = words.data + (<usize>word << 4);
  const symbols = <usize>load<u32>(entry, 4);
  const length = load<u32>(entry, 8);
  const count = <i64>load<u32>(entry, 12);
  let j: u32 = 0;
  for (let i: u32 = 0; i < length; ) {
    const at = symbols + (<usize>i << 2);
    const symbol = load<u32>(at);
    if (symbol == left && i + 1 < length && load<u32>(at, 4) == right) {
      if (j > 0) {
        const previous = load<u32>(symbols + (<usize>(j - 1) << 2));
        lower(previous, left, count);
        raise(previous, merged, count, word);
      }
      if (i + 2 < length) {
        const next = load<u32>(at, 8);
        lower(right, next, count);
        raise(merged, next, count, word);
      }
      store<u32>(symbols + (<usize>j << 2), merged);
      i += 2;
    } else {
      store<u32>(symbols + (<usize>j << 2), symbol);
      i += 1;
    }
    j += 1;
  }
  store<u32>(entry, j, 8);
}

/** Merges until the vocabulary (256 bytes first) has vocabSize tokens or no pair occurs minFrequency times. Returns the merges' number. */
export function trainRun(vocabSize: u32, minFrequency: u32): u32 {
  pairs = vector(1 << 16);
  nodes = vector(1 << 16);
  queue = vector(1 << 16);
  risen = vector(1 << 12);
  merges = vector(1 << 12);
  resizePairSlots((1 << 13) - 1);
  iteration = 1;

  // Token bytes: address and length by id.
  const known = vector(<usize>vocabSize << 3);
  initStrings(vocabSize + 256);
  const alphabet = alloc(256);
  push(known, 256 << 3);
  for (let b: u32 = 0; b < 256; b++) {
    const id = load<u32>(byteTable() + (<usize>b << 2));
    store<u8>(alphabet + b, <u8>b);
    store<u32>(known.data + (<usize>id << 3), <u32>(alphabet + b));
    store<u32>(known.data + (<usize>id << 3), 1, 4);
    addString(alphabet + b, 1, id);
  }

  const wordCount = <u32>(words.length >> 4);
  for (let w: u32 = 0; w < wordCount; w++) {
    const entry = words.data + (<usize>w << 4);
    const from = letters.data + load<u32>(entry, 4);
    const length = load<u32>(entry, 8);
    const count = <i64>load<u32>(entry, 12);
    const symbols = alloc(<usize>length << 2);
    store<u32>(entry, <u32>symbols, 4);
    for (let i: u32 = 0; i < length; i++) {
      store<u32>(symbols + (<usize>i << 2), load<u32>(byteTable() + (<usize>load<u8>(from + i) << 2)));
      if (i > 0) raise(load<u32>(symbols + (<usize>(i - 1) << 2)), load<u32>(symbols + (<usize>i << 2)), count, w);
    }
  }
  flushRisen();

  let size: u32 = 256;
  while (size < vocabSize && queue.length > 0) {
    const top = dequeue();
    let entry = pairs.data + (<usize>top << 5);
    const current = load<i64>(entry, 8);
    if (current != poppedCount) {
      if (current < poppedCount) enqueue(top);
      continue;
    }
    if (current < <i64>minFrequency) break;
    const key = load<u64>(entry);
    const left = <u32>(key >> 32);
    const right = <u32>key;

    const a = known.data + (<usize>left << 3);
    const b = known.data + (<usize>right << 3);
    const length = load<u32>(a, 4) + load<u32>(b, 4);
    const bytes = alloc(length);
    memory.copy(bytes, load<u32>(a), load<u32>(a, 4));
    memory.copy(bytes + load<u32>(a, 4), load<u32>(b), load<u32>(b, 4));
    let merged = findString(bytes, length);
    if (merged < 0) {
      merged = size++;
      addString(bytes, length, merged);
      const token = push(known, 8);
      store<u32>(token, <u32>bytes);
      store<u32>(token, length, 4);
    }
    const row = push(merges, 12);
    store<u32>(row, left);
    store<u32>(row, right, 4);
    store<u32>(row, merged, 8);

    iteration += 1;
    let node = load<u32>(entry, 16);
    store<u32>(entry, 0, 16);
    while (node != 0) {
      const word = load<u32>(nodes.data + (<usize>(node - 1) << 3));
      node = load<u32>(nodes.data + (<usize>(node - 1) << 3), 4);
      mergeInWord(word, left, right, merged);
    }
    // Overlaps such as a a a have moved the count of the pair itself; no occurrence is left.
    entry = pairs.data + (<usize>top << 5);
    store<i64>(entry, 0, 8);
    store<u32>(entry, 0, 20);
    flushRisen();
  }
  return <u32>(merges.length / 12);
}

function flushRisen(): void {
  const count = risen.length >> 2;
  for (let i: usize = 0; i < count; i++) enqueue(load<u32>(risen.data + (i << 2)));
  risen.length = 0;
}

export function trainedMerges(): usize {
  return merges.data;
}
