/** The paged key/value cache: write, copy, and attention of one new token per row. */
import { GEMM_SCRATCH, PANEL_BYTES, product } from "../lib/gemm";
import { threadScratch } from "../lib/scratch";
import { dot, exp1, exp4, loadTail, maxLanes, softCap4, storeTail, sumLanes, touchRows } from "../lib/simd";
import { dots2 } from "./matmul";

/** Items are rows. */
export function kv_cache_write(qkv: usize, slots: usize, cache: usize, N: u32, L: u32, H: u32, K: u32, D: u32, begin: u32, end: u32): void {
  const bytes: usize = (2 * K * D) << 2;
  for (let n = begin; n < end; n++) {
    memory.copy(cache + load<u32>(slots + (n << 2)) * bytes, qkv + ((n * (H + 2 * K) + H) * D << 2), bytes);
  }
}

/** Items are rows. */
export function kv_cache_copy(from: usize, to: usize, cache: usize, N: u32, L: u32, E: u32, begin: u32, end: u32): void {
  const bytes: usize = E << 2;
  for (let n = begin; n < end; n++) {
    memory.copy(cache + load<u32>(to + (n << 2)) * bytes, cache + load<u32>(from + (n << 2)) * bytes, bytes);
  }
}

/** Positions whose scores are held at a time, for two query heads: rows of SCORE_ROW bytes in thread scratch. */
const CHUNK: u32 = 1024;
const SCORE_ROW: usize = CHUNK << 2;

/** y (n) *= factor */
function scaleVector(y: usize, n: u32, factor: f32): void {
  const v = f32x4.splat(factor);
  const whole: usize = (n & ~3) << 2;
  let i: usize = 0;
  for (; i < whole; i += 16) v128.store(y + i, f32x4.mul(v128.load(y + i), v));
  if (n & 3) storeTail(y + i, f32x4.mul(loadTail(y + i, n & 3), v), n & 3);
}

/** How many of `count` positions from t on lie side by side: blocks that follow each other in the cache are one run. */
function runFrom(table: usize, t: u32, count: u32, block: u32): u32 {
  let at = load<u32>(table + ((t / block) << 2));
  let run = block - (t % block);
  while (run < count && load<u32>(table + (((t + run) / block) << 2)) == ++at) run += block;
  return min<u32>(run, count);
}

/** Slot of position t. */
// @ts-ignore: decorator
@inline
function slotOf(table: usize, t: u32, block: u32): usize {
  return <usize>load<u32>(table + ((t / block) << 2)) * block + (t % block);
}

/** Scores of `count` keys, `slotBytes` apart, for two queries; rows of scores lie SCORE_ROW apart. Each is the same sum wherever it stands in a run. */
function scorePair(q0: usize, q1: usize, keys: usize, slotBytes: usize, count: u32, D: u32, scores: usize, scratch: usize): void {
  let t: u32 = 0;
  if (D & 3) {
    for (; t < count; t++, keys += slotBytes) {
      store<f32>(scores + (t << 2), dot(q0, keys, D));
      store<f32>(scores + SCORE_ROW + (t << 2), dot(q1, keys, D));
    }
    return;
  }
  for (; t + 4 <= count; t += 4, keys += 4 * slotBytes) {
    dots2(q0, q1, keys, slotBytes, D, scratch);
    v128.store(scores + (t << 2), v128.load(scratch));
    v128.store(scores + SCORE_ROW + (t << 2), v128.load(scratch, 16));
  }
  for (; t < count; t++, keys += slotBytes) {
    dots2(q0, q1, keys, 0, D, scratch);
    store<f32>(scores + (t << 2), load<f32>(scratch));
    store<f32>(scores + SCORE_ROW + (t << 2), load<f32>(scratch, 16));
  }
}

/** Scores (count) of one head become e^(scale s - peak); returns the new peak and leaves their sum at `sum`. */
function softmaxRow(scores: usize, count: u32, scale: f32, peak: f32, sum: usize): f32 {
  const padded = (count + 3) & ~3;
  for (let t = count; t < padded; t++) store<f32>(scores + (t << 2), scale > 0 ? -Infinity : Infinity);
  const vs = f32x4.splat(scale);
  let highest = f32x4.splat(peak);
  for (let t: u32 = 0; t < padded; t += 4) highest = f32x4.pmax(highest, f32x4.mul(v128.load(scores + (t << 2)), vs));
  const top = maxLanes(highest);
  const vp = f32x4.splat(top);
  let s = f32x4.splat(0);
  for (let t: u32 = 0; t < padded; t += 4) {
    const e = exp4(f32x4.sub(f32x4.mul(v128.load(scores + (t << 2)), vs), vp));
    v128.store(scores + (t << 2), e);
    s = f32x4.add(s, e);
  }
  store<f32>(sum, sumLanes(s));
  return top;
}

/** Scores (count) become cap tanh(scale s / cap); whole vectors are written. */
function capScores(scores: usize, count: u32, scale: f32, cap: f32): void {
  const vs = f32x4.splat(scale);
  const vc = f32x4.splat(cap);
  for (let t: u32 = 0; t < count; t += 4) v128.store(scores + (t << 2), softCap4(f32x4.mul(v128.load(scores + (t << 2)), vs), vc));
}

/**
 * Items are (row, key head) pairs: the query heads of a group read the same keys, two at a time. A block of the cache is a matrix whose rows lie
 * one slot apart, so scores are dot products over it and the mixture of values is a product of matrices on it.
 */
export function kv_cache_attend(qkv: usize, cache: usize, tables: usize, lengths: usize, o: usize, N: u32, L: u32, B: u32, H: u32, K: u32, D: u32, block: u32, scale: f32, cap: f32, window: u32, begin: u32, end: u32): void {
  const scores = threadScratch() + GEMM_SCRATCH;
  const scratch = scores + 2 * SCORE_ROW;
  const head: usize = D << 2;
  const slotBytes: usize = 2 * K * head;
  const toValue: usize = K * head;
  for (let item = begin; item < end; item++) {
    const r = item / K;
    const kv = item % K;
    const length = load<u32>(lengths + (r << 2));
    const oldest = window > 0 && length > window ? length - window : 0;
    const table = tables + ((r * B) << 2);
    const keys = cache + kv * head;
    const lastHead = ((kv + 1) * H + K - 1) / K;
    const firstHead = (kv * H + K - 1) / K;
    for (let h = firstHead; h < lastHead; h += 2) {
      const pair: u32 = h + 1 < lastHead ? 2 : 1;
      const q0 = qkv + (r * (H + 2 * K) + h) * head;
      const q1 = pair == 2 ? q0 + head : q0;
      const out = o + (r * H + h) * head;
      let peak0: f32 = -Infinity, peak1: f32 = -Infinity;
      let total0: f32 = 0, total1: f32 = 0;
      for (let t0 = oldest; t0 < length; t0 += CHUNK) {
        const count = min<u32>(CHUNK, length - t0);
        for (let t: u32 = 0; t < count; ) {
          const run = runFrom(table, t0 + t, count - t, block);
          const first = keys + slotOf(table, t0 + t, block) * slotBytes;
          // A cache of many layers does not stay in the processor's.
          if (h == firstHead) {
            touchRows(first, slotBytes, run, head);
            touchRows(first + toValue, slotBytes, run, head);
          }
          scorePair(q0, q1, first, slotBytes, run, D, scores + (t << 2), scratch);
          t += run;
        }
        if (cap > 0) capScores(scores, count, scale, cap);
        const factor: f32 = cap > 0 ? 1 : scale;
        const top0 = softmaxRow(scores, count, factor, peak0, scratch);
        const shrink0 = exp1(peak0 - top0);
        total0 = total0 * shrink0 + load<f32>(scratch);
        peak0 = top0;
        if (t0 > oldest) scaleVector(out, D, shrink0);
        if (pair == 2) {
          if (cap > 0) capScores(scores + SCORE_ROW, count, scale, cap);
          const top1 = softmaxRow(scores + SCORE_ROW, count, factor, peak1, scratch);
          const shrink1 = exp1(peak1 - top1);
          total1 = total1 * shrink1 + load<f32>(scratch);
          peak1 = top1;
          if (t0 > oldest) scaleVector(out + head, D, shrink1);
        }
        for (let t: u32 = 0; t < count; ) {
          const run = runFrom(table, t0 + t, count - t, block);
          const values = keys + slotOf(table, t0 + t, block) * slotBytes + toValue;
          product(scores + (t << 2), SCORE_ROW, 4, values, PANEL_BYTES, slotBytes, out, head, pair, D, run, t0 + t > oldest);
          t += run;
        }
      }
      scaleVector(out, D, 1 / total0);
      if (pair == 2) scaleVector(out + head, D, 1 / total1);
    }
  }
}
