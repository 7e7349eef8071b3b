/** The paged key/value cache: write, copy, and attention of one new token per row. */
import { exp4, exp1, fma, loadTail, maxLanes, storeTail, sumLanes, sumRows } from "../lib/simd";
import { GEMM_SCRATCH } from "../lib/gemm";
import { threadScratch } from "../lib/scratch";

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

/** Positions handled at a time; their scores and slots live in thread scratch. */
const CHUNK: u32 = 256;

/** Scores of four keys: q · k0 .. q · k3. */
function dots4(q: usize, k0: usize, k1: usize, k2: usize, k3: usize, D: u32): v128 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  const whole: usize = (D & ~3) << 2;
  const tail = D & 3;
  let d: usize = 0;
  for (; d < whole; d += 16) {
    const v = v128.load(q + d);
    s0 = fma(v, v128.load(k0 + d), s0);
    s1 = fma(v, v128.load(k1 + d), s1);
    s2 = fma(v, v128.load(k2 + d), s2);
    s3 = fma(v, v128.load(k3 + d), s3);
  }
  if (tail) {
    const v = loadTail(q + d, tail);
    s0 = fma(v, loadTail(k0 + d, tail), s0);
    s1 = fma(v, loadTail(k1 + d, tail), s1);
    s2 = fma(v, loadTail(k2 + d, tail), s2);
    s3 = fma(v, loadTail(k3 + d, tail), s3);
  }
  return sumRows(s0, s1, s2, s3);
}

/** o += p0 v0 + p1 v1 + p2 v2 + p3 v3 */
function mix4(o: usize, p: usize, v0: usize, v1: usize, v2: usize, v3: usize, D: u32): void {
  const p0 = v128.load32_splat(p), p1 = v128.load32_splat(p, 4), p2 = v128.load32_splat(p, 8), p3 = v128.load32_splat(p, 12);
  const whole: usize = (D & ~3) << 2;
  const tail = D & 3;
  let d: usize = 0;
  for (; d < whole; d += 16) {
    v128.store(o + d, fma(p3, v128.load(v3 + d), fma(p2, v128.load(v2 + d), fma(p1, v128.load(v1 + d), fma(p0, v128.load(v0 + d), v128.load(o + d))))));
  }
  if (tail) {
    storeTail(o + d, fma(p3, loadTail(v3 + d, tail), fma(p2, loadTail(v2 + d, tail), fma(p1, loadTail(v1 + d, tail), fma(p0, loadTail(v0 + d, tail), loadTail(o + d, tail))))), tail);
  }
}

function scaleVector(o: usize, D: u32, factor: f32): void {
  const v = f32x4.splat(factor);
  const whole: usize = (D & ~3) << 2;
  let d: usize = 0;
  for (; d < whole; d += 16) v128.store(o + d, f32x4.mul(v128.load(o + d), v));
  if (D & 3) storeTail(o + d, f32x4.mul(loadTail(o + d, D & 3), v), D & 3);
}

/** Items are (row, key head) pairs: the query heads of a group read the same keys. */
export function kv_cache_attend(qkv: usize, cache: usize, tables: usize, lengths: usize, o: usize, N: u32, L: u32, B: u32, H: u32, K: u32, D: u32, block: u32, scale: f32, begin: u32, end: u32): void {
  const scores = threadScratch() + GEMM_SCRATCH;
  const places = scores + (CHUNK << 2);
  const head: usize = D << 2;
  const slotBytes: usize = 2 * K * head;
  for (let item = begin; item < end; item++) {
    const r = item / K;
    const kv = item % K;
    const length = load<u32>(lengths + (r << 2));
    const table = tables + ((r * B) << 2);
    const keys = cache + kv * head;
    const toValue: usize = K * head;
    const lastHead = ((kv + 1) * H + K - 1) / K;
    for (let h = (kv * H + K - 1) / K; h < lastHead; h++) {
      const q = qkv + (r * (H + 2 * K) + h) * head;
      const out = o + (r * H + h) * head;
      memory.fill(out, 0, head);
      let peak: f32 = -Infinity;
      let total: f32 = 0;
      for (let t0: u32 = 0; t0 < length; t0 += CHUNK) {
        const count = min<u32>(CHUNK, length - t0);
        for (let t: u32 = 0; t < count; t++) {
          const slot = load<u32>(table + (((t0 + t) / block) << 2)) * block + (t0 + t) % block;
          store<usize>(places + (t << 2), keys + slot * slotBytes);
        }
        // Rounded up to four: the last key again, with probability 0.
        const padded = (count + 3) & ~3;
        for (let t = count; t < padded; t++) store<usize>(places + (t << 2), load<usize>(places + ((count - 1) << 2)));
        let highest = f32x4.splat(-Infinity);
        for (let t: u32 = 0; t < padded; t += 4) {
          const at = places + (t << 2);
          let s = dots4(q, load<usize>(at), load<usize>(at, 4), load<usize>(at, 8), load<usize>(at, 12), D);
          s = f32x4.mul(s, f32x4.splat(scale));
          highest = f32x4.max(highest, s);
          v128.store(scores + (t << 2), s);
        }
        for (let t = count; t < padded; t++) store<f32>(scores + (t << 2), -Infinity);
        const newPeak = max<f32>(peak, maxLanes(highest));
        const vp = f32x4.splat(newPeak);
        let s = f32x4.splat(0);
        for (let t: u32 = 0; t < padded; t += 4) {
          const p = exp4(f32x4.sub(v128.load(scores + (t << 2)), vp));
          v128.store(scores + (t << 2), p);
          s = f32x4.add(s, p);
        }
        if (t0) {
          const shrink = exp1(peak - newPeak);
          total *= shrink;
          scaleVector(out, D, shrink);
        }
        total += sumLanes(s);
        peak = newPeak;
        for (let t: u32 = 0; t < padded; t += 4) {
          const at = places + (t << 2);
          mix4(out, scores + (t << 2), load<usize>(at) + toValue, load<usize>(at, 4) + toValue, load<usize>(at, 8) + toValue, load<usize>(at, 12) + toValue, D);
        }
      }
      scaleVector(out, D, 1 / total);
    }
  }
}
