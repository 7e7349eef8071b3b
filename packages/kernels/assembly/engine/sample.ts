/** One token per row of logits: mask, penalty, temperature, top-k, top-p, min-p, then the inverse of the cumulative distribution. */
import { uniform } from "../lib/random";
import { exp4, maxLanes } from "../lib/simd";

/** Σ of four lanes in f64, in order. */
// @ts-ignore: decorator
@inline
function wideSum(v: v128): f64 {
  const pair = f64x2.add(f64x2.promote_low_f32x4(v), f64x2.promote_low_f32x4(v128.shuffle<f64>(v, v, 1, 1)));
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
}

/** Logits (V) times the inverse temperature, padded with -infinity to a multiple of four in `to`; returns the largest. */
function copyScaled(from: usize, to: usize, V: u32, inverse: f32): f32 {
  const vt = f32x4.splat(inverse);
  let highest = f32x4.splat(-Infinity);
  let j: u32 = 0;
  for (; j + 4 <= V; j += 4) {
    const z = f32x4.mul(v128.load(from + (j << 2)), vt);
    v128.store(to + (j << 2), z);
    highest = f32x4.pmax(highest, z);
  }
  let peak = maxLanes(highest);
  for (; j < V; j++) {
    const z = load<f32>(from + (j << 2)) * inverse;
    store<f32>(to + (j << 2), z);
    peak = max<f32>(peak, z);
  }
  for (; j & 3; j++) store<f32>(to + (j << 2), -Infinity);
  return peak;
}

/** Elements summed in f32 lanes before they join an f64 sum. */
const RUN: u32 = 64;

/** weights = e^(z - peak) where z >= threshold, else 0; returns their sum. */
function exponentials(z: usize, weights: usize, padded: u32, peak: f32, threshold: f32): f64 {
  const vp = f32x4.splat(peak);
  const vt = f32x4.splat(threshold);
  let total: f64 = 0;
  for (let first: u32 = 0; first < padded; first += RUN) {
    let s = f32x4.splat(0);
    for (let j = first, last = min<u32>(padded, first + RUN); j < last; j += 4) {
      const v = v128.load(z + (j << 2));
      const e = v128.and(exp4(f32x4.sub(v, vp)), f32x4.ge(v, vt));
      v128.store(weights + (j << 2), e);
      s = f32x4.add(s, e);
    }
    total += wideSum(s);
  }
  return total;
}

/** Zeroes the weights below the threshold or below `least`, the peak's excepted; returns the sum of the rest. */
function truncate(z: usize, weights: usize, padded: u32, peak: f32, threshold: f32, least: f32): f64 {
  const vp = f32x4.splat(peak);
  const vt = f32x4.splat(threshold);
  const vl = f32x4.splat(least);
  let total: f64 = 0;
  for (let first: u32 = 0; first < padded; first += RUN) {
    let s = f32x4.splat(0);
    for (let j = first, last = min<u32>(padded, first + RUN); j < last; j += 4) {
      const v = v128.load(z + (j << 2));
      const w = v128.load(weights + (j << 2));
      const isLikely = v128.or(f32x4.ge(w, vl), f32x4.eq(v, vp));
      const kept = v128.and(v128.and(w, f32x4.ge(v, vt)), isLikely);
      v128.store(weights + (j << 2), kept);
      s = f32x4.add(s, kept);
    }
    total += wideSum(s);
  }
  return total;
}

/** The first token at which the cumulative weight exceeds target; the last one with any weight when rounding leaves none. */
function tokenAt(weights: usize, padded: u32, target: f64): u32 {
  let cumulative: f64 = 0;
  let last: u32 = 0;
  for (let first: u32 = 0; first < padded; first += RUN) {
    const stop = min<u32>(padded, first + RUN);
    let s = f32x4.splat(0);
    for (let j = first; j < stop; j += 4) s = f32x4.add(s, v128.load(weights + (j << 2)));
    const run = wideSum(s);
    if (run == 0) continue;
    // The run's own sum decides whether it is entered, so that the sums agree with the total.
    const isHere = cumulative + run > target;
    let inside = cumulative;
    for (let j = first; j < stop; j++) {
      const w = load<f32>(weights + (j << 2));
      if (w == 0) continue;
      last = j;
      if (!isHere) continue;
      inside += <f64>w;
      if (inside > target) return j;
    }
    if (isHere) return last;
    cumulative += run;
  }
  return last;
}

function countAbove(z: usize, padded: u32, threshold: f32): u32 {
  const vt = f32x4.splat(threshold);
  let counts = i32x4.splat(0);
  for (let j: u32 = 0; j < padded; j += 4) counts = i32x4.sub(counts, f32x4.gt(v128.load(z + (j << 2)), vt));
  return i32x4.extract_lane(counts, 0) + i32x4.extract_lane(counts, 1) + i32x4.extract_lane(counts, 2) + i32x4.extract_lane(counts, 3);
}

function weightAbove(z: usize, weights: usize, padded: u32, threshold: f32): f64 {
  const vt = f32x4.splat(threshold);
  let total: f64 = 0;
  for (let j: u32 = 0; j < padded; j += 4) {
    const kept = v128.and(v128.load(weights + (j << 2)), f32x4.gt(v128.load(z + (j << 2)), vt));
    if (v128.any_true(kept)) total += wideSum(kept);
  }
  return total;
}

/** Floats in order as unsigned integers, and back. */
// @ts-ignore: decorator
@inline
function orderOf(x: f32): u32 {
  const bits = reinterpret<u32>(x);
  return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}
// @ts-ignore: decorator
@inline
function floatOf(order: u32): f32 {
  return reinterpret<f32>(order & 0x80000000 ? order & 0x7fffffff : ~order);
}

/** The smallest float t with fewer than k of z above it: the k-th largest. */
function topKThreshold(z: usize, padded: u32, k: u32, peak: f32): f32 {
  let low = orderOf(-Infinity);
  let high = orderOf(peak);
  while (low < high) {
    const middle = low + ((high - low) >>> 1);
    if (countAbove(z, padded, floatOf(middle)) < k) high = middle;
    else low = middle + 1;
  }
  return floatOf(low);
}

/** The smallest float t with less weight than `mass` above it. */
function topPThreshold(z: usize, weights: usize, padded: u32, mass: f64, peak: f32): f32 {
  let low = orderOf(-Infinity);
  let high = orderOf(peak);
  while (low < high) {
    const middle = low + ((high - low) >>> 1);
    if (weightAbove(z, weights, padded, floatOf(middle)) < mass) high = middle;
    else low = middle + 1;
  }
  return floatOf(low);
}

/** Lanes of tokens 4 i .. 4 i + 3 (bit i of a nibble is lane i). */
// @ts-ignore: decorator
@inline
function lanesOf(nibble: u32): v128 {
  return i32x4.ne(v128.and(i32x4.splat(nibble), i32x4(1, 2, 4, 8)), i32x4.splat(0));
}

/** z becomes -infinity where its bit is not set; returns the largest left. */
function mask(z: usize, words: usize, V: u32): f32 {
  const lowest = f32x4.splat(-Infinity);
  let highest = lowest;
  for (let j: u32 = 0; j < V; j += 4) {
    const nibble = load<u32>(words + ((j >>> 5) << 2)) >>> (j & 31);
    const v = v128.bitselect(v128.load(z + (j << 2)), lowest, lanesOf(nibble));
    v128.store(z + (j << 2), v);
    highest = f32x4.pmax(highest, v);
  }
  return maxLanes(highest);
}

/** Divides or multiplies the logits of seen tokens; returns the largest z. */
function penalise(z: usize, row: usize, words: usize, V: u32, penalty: f32, inverse: f32): f32 {
  let peak: f32 = -Infinity;
  for (let j: u32 = 0; j < V; j++) {
    const at: usize = j << 2;
    let value = load<f32>(z + at);
    if (value > -Infinity && (load<u32>(words + ((j >>> 5) << 2)) >>> (j & 31)) & 1) {
      const logit = load<f32>(row + at);
      value = (logit > 0 ? logit / penalty : logit * penalty) * inverse;
      store<f32>(z + at, value);
    }
    peak = max<f32>(peak, value);
  }
  return peak;
}

/**
 * Items are rows `first` .. `first` + items - 1 of the batch; z and weights (items, ⌈V / 4⌉ · 4) are scratch. The cumulative sum is f64, so that
 * a token changes only when the draw falls within an ulp of a boundary.
 */
export function sample_forward__rows(logits: usize, settings: usize, keys: usize, positions: usize, allowed: usize, seen: usize, tokens: usize, logp: usize, z: usize, weights: usize, first: u32, V: u32, W: u32, begin: u32, end: u32): void {
  const padded = (V + 3) & ~3;
  for (let item = begin; item < end; item++) {
    const n = first + item;
    const setting = settings + n * 20;
    const temperature = load<f32>(setting);
    const top_k = <u32>load<f32>(setting, 4);
    const top_p = load<f32>(setting, 8);
    const min_p = load<f32>(setting, 12);
    const repetition_penalty = load<f32>(setting, 16);
    const key = keys + n * 12;
    const isGreedy = temperature == 0;
    const inverse: f32 = isGreedy ? 1 : 1 / temperature;
    const row = logits + ((n * V) << 2);
    const zs = z + ((item * padded) << 2);
    const ws = weights + ((item * padded) << 2);
    // The log-sum-exp that training will see: before mask, penalty and truncation.
    let peak = copyScaled(row, zs, V, inverse);
    const plainPeak = peak;
    let total = exponentials(zs, ws, padded, peak, -Infinity);
    const plainLse = <f64>plainPeak + NativeMath.log1p(total - 1);

    const isPenalised = seen != 0 && repetition_penalty != 1;
    if (allowed) peak = mask(zs, allowed + ((n * W) << 2), V);
    if (isPenalised) peak = penalise(zs, row, seen + ((n * W) << 2), V, repetition_penalty, inverse);
    if (allowed || isPenalised) total = exponentials(zs, ws, padded, peak, -Infinity);

    let token: u32 = V - 1;
    if (isGreedy) {
      for (let j: u32 = 0; j < V; j++) {
        if (load<f32>(zs + (j << 2)) == peak) {
          token = j;
          break;
        }
      }
    } else {
      let threshold: f32 = -Infinity;
      if (top_k > 0 && top_k < V) {
        threshold = topKThreshold(zs, padded, top_k, peak);
        total = exponentials(zs, ws, padded, peak, threshold);
      }
      if (top_p < 1) {
        threshold = max<f32>(threshold, topPThreshold(zs, ws, padded, <f64>top_p * total, peak));
      }
      if (threshold > -Infinity || min_p > 0) total = truncate(zs, ws, padded, peak, threshold, min_p);
      const target = <f64>uniform(load<u32>(key), load<u32>(key, 4), load<u32>(positions + (n << 2)), load<u32>(key, 8)) * total;
      token = min<u32>(V - 1, tokenAt(ws, padded, target));
    }
    store<u32>(tokens + (n << 2), token);
    store<f32>(logp + (n << 2), <f32>(<f64>(load<f32>(row + (token << 2)) * inverse) - plainLse));
    if (seen) {
      const word = seen + ((n * W + (token >>> 5)) << 2);
      store<u32>(word, load<u32>(word) | (1 << (token & 31)));
    }
  }
}
