/**
 * The paged key/value cache of one layer, and attention of one new token per row over it (vLLM, Kwon et al. 2023).
 *
 * `cache` is (L, 2 K D): slot l holds one token's [K key heads | K value heads]. Position t of row r lives in slot
 * tables[r, ⌊t / block⌋] · block + t mod block.
 */
import { defineOp } from "../contract";

export const kvCache = defineOp({
  /** cache[slots[n]] = key and value heads of qkv[n]. Slots are distinct. */
  write: {
    name: "kv_cache_write",
    in: { qkv: "(N, H * D + 2 * K * D)", slots: "u32 (N)" },
    inout: { cache: "(L, 2 * K * D)" },
    scalars: { H: "u32", K: "u32", D: "u32" },
  },
  /** cache[to[n]] = cache[from[n]]: gives a group member its own copy of a half-filled prompt block. */
  copy: { name: "kv_cache_copy", in: { from: "u32 (N)", to: "u32 (N)" }, inout: { cache: "(L, E)" } },
  /** o[r] = attention of row r's query over its positions 0 .. lengths[r] - 1 (the new token's own slot included); cap and window as in attention. */
  attend: {
    name: "kv_cache_attend",
    in: { qkv: "(N, H * D + 2 * K * D)", cache: "(L, 2 * K * D)", tables: "u32 (N, B)", lengths: "u32 (N)" },
    out: { o: "(N, H * D)" },
    scalars: { H: "u32", K: "u32", D: "u32", block: "u32", scale: "f32", cap: "f32", window: "u32" },
  },
});
