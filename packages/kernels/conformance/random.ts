/** Deterministic test data: the same numbers for the same name, on every machine. */

/** A stream of random numbers; every draw moves it on. */
export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
  /** Uniform over 0 .. below - 1. */
  integer(below: number): number;
  /** The numbers 0 .. count - 1 in a random order. */
  permutation(count: number): number[];
}

/** A stream named by `seed`: FNV-1a over the text, then mulberry32. */
export function createRandom(seed: string): Random {
  let state = 0x811c9dc5;
  for (let i = 0; i < seed.length; i++) state = Math.imul(state ^ seed.charCodeAt(i), 0x01000193);
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (below: number) => Math.floor(uniform() * below);
  return {
    uniform,
    integer,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    permutation: (count) => {
      const order = Array.from({ length: count }, (_, i) => i);
      for (let i = count - 1; i > 0; i--) {
        const j = integer(i + 1);
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      return order;
    },
  };
}

/**
 * `count` standard normals with planted trouble where there is room for it: a zero, a tiny number, and two outliers of
 * ± `outlier`.
 */
export function normals(random: Random, count: number, outlier: number): Float32Array {
  const data = Float32Array.from({ length: count }, () => random.normal());
  if (count >= 8) {
    const [zero, tiny, high, low] = [random.integer(count), random.integer(count), random.integer(count), random.integer(count)];
    data[zero] = 0;
    data[tiny] = 1e-6;
    data[high] = outlier;
    data[low] = -outlier;
  }
  return data;
}
