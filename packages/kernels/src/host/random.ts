/** Random numbers addressed by (seed, stream, counter): no state, so a draw does not depend on what was drawn before. */
import { ArgumentError, requireInteger } from "./argument-error";
import { host, Scratch } from "./host-module";

/** A non-negative safe integer, or its two u32 halves `[lo, hi]`. */
export type Seed = number | readonly [lo: number, hi: number];

/** The (lo, hi) u32 halves of a seed: the key of the Threefry block. */
export function seedWords(seed: Seed): readonly [lo: number, hi: number] {
  if (typeof seed !== "number") return [seed[0] >>> 0, seed[1] >>> 0];
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new ArgumentError(`random: a seed must be a safe integer of at least 0 or a pair of u32, got ${seed}. Pass such a seed.`);
  }
  return [seed >>> 0, Math.floor(seed / 2 ** 32)];
}

/** Threefry-2x32-20 (Salmon et al. 2011; the block function of Random123 and JAX): key and counter words in, two u32 out. */
export function threefry(key: readonly [number, number], counter: readonly [number, number]): [number, number] {
  const block = host().random_block(key[0], key[1], counter[0], counter[1]);
  return [Number(block & 0xffffffffn), Number((block >> 32n) & 0xffffffffn)];
}

/** 32 random bits: word 0 of the block with key = seed and counter = (counter, stream). */
export function randomBits(seed: Seed, stream: number, counter: number): number {
  const [lo, hi] = seedWords(seed);
  return host().random_bits(lo, hi, stream, counter) >>> 0;
}

/** A uniform number in [0, 1): `(randomBits >>> 8) * 2^-24`, exact in f32, the draw the devices' sampling op makes. */
export function uniform(seed: Seed, stream: number, counter: number): number {
  const [lo, hi] = seedWords(seed);
  return host().random_uniform(lo, hi, stream, counter);
}

/** An unbiased integer in [0, bound), bound in 1 ... 2^32 - 1. */
export function randomInt(bound: number, seed: Seed, stream: number, counter: number): number {
  requireInteger("randomInt", "bound", bound, 1);
  if (bound > 0xffffffff) throw new ArgumentError(`randomInt: bound must fit 32 bits, got ${bound}. Draw two words instead.`);
  const [lo, hi] = seedWords(seed);
  return host().random_int(bound, lo, hi, stream, counter) >>> 0;
}

/** Fills `out` with normal numbers of mean 0 and standard deviation `std` (default 1): Box-Muller in f64, rounded to f32. */
export function fillNormal<T extends Float32Array>(out: T, seed: Seed, stream: number, std = 1): T {
  const [lo, hi] = seedWords(seed);
  const scratch = new Scratch();
  const at = scratch.reserve(out.length * 4);
  host().fill_normal(at, out.length, lo, hi, stream, std);
  out.set(scratch.takeF32(at, out.length));
  return out;
}

/** A uniform permutation of 0 ... n - 1 (Fisher-Yates with unbiased draws). */
export function shuffle(n: number, seed: Seed, stream: number): Uint32Array<ArrayBuffer> {
  requireInteger("shuffle", "n", n, 0);
  const [lo, hi] = seedWords(seed);
  const scratch = new Scratch();
  const at = scratch.reserve(n * 4);
  host().shuffle(at, n, lo, hi, stream);
  return scratch.takeU32(at, n);
}
