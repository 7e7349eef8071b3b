/**
 * The paged key/value cache of one layer, and attention of one token per row over it (vLLM, Kwon et al. 2023).
 *
 * `cache` is (L, 2 K D): slot l holds one token's [K key heads | K value heads]. Position t of row r lives in slot
 * tables[r, ⌊t / block⌋] · block + t mod block.
 */
import { defineOp, type Sizes } from "../contract";

/** Positions that a row attends to. */
function filled({ B, block, window }: Sizes): number {
  const half = (B * block) / 2;
  return window > 0 ? Math.min(window, half) : half;
}

const ATTENDING = { H: "u32", K: "u32", D: "u32", block: "u32", scale: "f32", cap: "f32", window: "u32" } as const;

// Lengths are data: rows are taken to fill half of their tables.
const attendFlops = (sizes: Sizes) => 4 * sizes.N * filled(sizes) * sizes.H * sizes.D;
const attendBytes = (sizes: Sizes) => 4 * (2 * sizes.N * filled(sizes) * sizes.K * sizes.D + 2 * sizes.N * sizes.H * sizes.D + sizes.N);

export const kvCache = defineOp({
  /** cache[slots[n]] = key and value heads of qkv[n]. Slots are distinct. */
  write: {
    name: "kv_cache_write",
    in: { qkv: "(N, H * D + 2 * K * D)", slots: "u32 (N)" },
    inout: { cache: "(L, 2 * K * D)" },
    scalars: { H: "u32", K: "u32", D: "u32" },
    flops: () => 0,
    bytes: ({ N, K, D }) => 4 * (4 * N * K * D + N),
  },
  /** cache[to[n]] = cache[from[n]]: gives a group member its own copy of a half-filled prompt block. */
  copy: {
    name: "kv_cache_copy",
    in: { from: "u32 (N)", to: "u32 (N)" },
    inout: { cache: "(L, E)" },
    flops: () => 0,
    bytes: ({ N, E }) => 4 * (2 * N * E + 2 * N),
  },
  /** o[r] = attention of row r's query over its positions 0 .. lengths[r] - 1, all of them in the cache; cap and window as in attention. */
  attend: {
    name: "kv_cache_attend",
    in: { qkv: "(N, H * D + 2 * K * D)", cache: "(L, 2 * K * D)", tables: "u32 (N, B)", lengths: "u32 (N)" },
    out: { o: "(N, H * D)" },
    scalars: ATTENDING,
    flops: attendFlops,
    bytes: attendBytes,
  },
  /**
   * rope, write and attend in one, of tokens that are not in the cache yet: row r's is its position lengths[r] - 1. Query and key heads are rotated by
   * the angles of positions[r] as in rope (R = 0: not at all), keys and values stored in the position's slot, which no other row may see.
   */
  extend: {
    name: "kv_cache_extend",
    in: {
      qkv: "(N, H * D + 2 * K * D)",
      cos: "(T, R)",
      sin: "(T, R)",
      positions: "u32 (N)",
      tables: "u32 (N, B)",
      lengths: "u32 (N)",
    },
    inout: { cache: "(L, 2 * K * D)" },
    out: { o: "(N, H * D)" },
    scalars: ATTENDING,
    flops: (sizes) => attendFlops(sizes) + 6 * sizes.N * (sizes.H + sizes.K) * sizes.R,
    // Beside what attend moves, the slots that are written, and the rows of the tables that N positions can name.
    bytes: (sizes) => attendBytes(sizes) + 4 * (2 * sizes.N * sizes.K * sizes.D + 2 * Math.min(sizes.N, sizes.T) * sizes.R + sizes.N),
  },
});
