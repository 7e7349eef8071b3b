/** Host draws over Threefry blocks: bits, uniforms, normals, bounded integers and permutations. */
import { randomWord, threefry, uniform } from "../lib/random";

const TWO_PI: f64 = 6.283185307179586;
const TWO_POW_MINUS_32: f64 = 2.3283064365386963e-10;

export function random_block(k0: u32, k1: u32, c0: u32, c1: u32): u64 {
  return threefry(k0, k1, c0, c1);
}

export function random_bits(seedLo: u32, seedHi: u32, stream: u32, counter: u32): u32 {
  return randomWord(seedLo, seedHi, stream, counter);
}

export function random_uniform(seedLo: u32, seedHi: u32, stream: u32, counter: u32): f64 {
  return <f64>uniform(seedLo, seedHi, stream, counter);
}

/** Box-Muller in f64: block i gives elements 2i and 2i + 1. out (n) f32. */
export function fill_normal(out: usize, n: u32, seedLo: u32, seedHi: u32, stream: u32, std: f64): void {
  for (let i: u32 = 0; i < n; i += 2) {
    const block = threefry(seedLo, seedHi, i >>> 1, stream);
    // In (0, 1]: the logarithm is finite and the radius at most 6.67 standard deviations.
    const u = (<f64>(<u32>block) + 1.0) * TWO_POW_MINUS_32;
    const radius = std * NativeMath.sqrt(-2.0 * NativeMath.log(u));
    const angle = TWO_PI * (<f64>(<u32>(block >> 32)) * TWO_POW_MINUS_32);
    store<f32>(out + ((<usize>i) << 2), <f32>(radius * NativeMath.cos(angle)));
    if (i + 1 < n) store<f32>(out + ((<usize>i + 1) << 2), <f32>(radius * NativeMath.sin(angle)));
  }
}

/** Unbiased integer in [0, bound): 64 random bits, rejected past the last whole multiple of the bound (rarer than 2^-32). */
export function random_int(bound: u32, seedLo: u32, seedHi: u32, stream: u32, counter: u32): u32 {
  const n = <u64>bound;
  // 2^64 mod n values at the top would be drawn once too often.
  const excess = (u64.MAX_VALUE % n + 1) % n;
  const last = u64.MAX_VALUE - excess;
  let attempt: u32 = 0;
  let bits = threefry(seedLo, seedHi, counter, stream);
  while (bits > last) {
    attempt += 1;
    bits = threefry(seedLo, seedHi ^ rotl<u32>(attempt, 16), counter, stream);
  }
  return <u32>(bits % n);
}

/** Fisher-Yates from the top; step i draws with counter i. out (n) u32. */
export function shuffle(out: usize, n: u32, seedLo: u32, seedHi: u32, stream: u32): void {
  for (let i: u32 = 0; i < n; i++) store<u32>(out + ((<usize>i) << 2), i);
  for (let i: u32 = n; i > 1; i--) {
    const j = random_int(i, seedLo, seedHi, stream, i - 1);
    const p = out + ((<usize>(i - 1)) << 2);
    const q = out + ((<usize>j) << 2);
    const t = load<u32>(p);
    store<u32>(p, load<u32>(q));
    store<u32>(q, t);
  }
}
