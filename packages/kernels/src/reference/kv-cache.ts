/** Reference of the paged key/value cache and of attention over it. */
import { kvCache } from "../ops/kv-cache";
import { dot, logSumExp, softCap } from "./attention";
import { implement } from "./implement";

export const kvCacheReference = [
  implement<"qkv" | "slots" | "cache", "N" | "H" | "K" | "D">(kvCache.write, ({ qkv, slots, cache }, { N, H, K, D }) => {
    for (let n = 0; n < N; n++) {
      for (let e = 0; e < 2 * K * D; e++) cache[slots[n]! * 2 * K * D + e] = qkv[(n * (H + 2 * K) + H) * D + e]!;
    }
  }),
  implement<"from" | "to" | "cache", "N" | "E">(kvCache.copy, ({ from, to, cache }, { N, E }) => {
    for (let n = 0; n < N; n++) {
      for (let e = 0; e < E; e++) cache[to[n]! * E + e] = cache[from[n]! * E + e]!;
    }
  }),
  implement<"qkv" | "cache" | "tables" | "lengths" | "o", "N" | "B" | "H" | "K" | "D" | "block" | "scale" | "cap" | "window">(
    kvCache.attend,
    ({ qkv, cache, tables, lengths, o }, { N, B, H, K, D, block, scale, cap, window }) => {
      for (let r = 0; r < N; r++) {
        const length = lengths[r]!;
        const seen = window > 0 ? Math.min(window, length) : length;
        const slots = Array.from({ length: seen }, (_, i) => length - seen + i).map(
          (t) => tables[r * B + Math.floor(t / block)]! * block + (t % block),
        );
        for (let h = 0; h < H; h++) {
          const q = (r * (H + 2 * K) + h) * D;
          const k = Math.floor((h * K) / H) * D;
          const v = k + K * D;
          const scores = slots.map((slot) => softCap(scale * dot(qkv, q, cache, slot * 2 * K * D + k, D), cap));
          const lse = logSumExp(scores);
          for (let d = 0; d < D; d++) {
            let sum = 0;
            slots.forEach((slot, t) => {
              sum += Math.exp(scores[t]! - lse) * cache[slot * 2 * K * D + v + d]!;
            });
            o[(r * H + h) * D + d] = sum;
          }
        }
      }
    },
  ),
];
