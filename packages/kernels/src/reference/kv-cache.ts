/** Reference of the paged key/value cache and of attention over it. */
import { kvCache } from "../ops/kv-cache";
import { dot, logSumExp, softCap } from "./attention";
import { implement } from "./implement";
import { rotateHead } from "./rope";

interface Attending {
  readonly qkv: Float64Array;
  readonly cache: Float64Array;
  readonly tables: Float64Array;
  readonly lengths: Float64Array;
  readonly o: Float64Array;
}

type AttendingValue = "N" | "B" | "H" | "K" | "D" | "block" | "scale" | "cap" | "window";

/** Slot of position t of row r. */
const slotOf = (tables: Float64Array, r: number, t: number, { B, block }: Readonly<Record<"B" | "block", number>>) =>
  tables[r * B + Math.floor(t / block)]! * block + (t % block);

function attend({ qkv, cache, tables, lengths, o }: Attending, values: Readonly<Record<AttendingValue, number>>): void {
  const { N, H, K, D, scale, cap, window } = values;
  for (let r = 0; r < N; r++) {
    const length = lengths[r]!;
    const seen = window > 0 ? Math.min(window, length) : length;
    const slots = Array.from({ length: seen }, (_, i) => slotOf(tables, r, length - seen + i, values));
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
}

function write(
  qkv: Float64Array,
  n: number,
  cache: Float64Array,
  slot: number,
  { H, K, D }: Readonly<Record<"H" | "K" | "D", number>>,
): void {
  for (let e = 0; e < 2 * K * D; e++) cache[slot * 2 * K * D + e] = qkv[(n * (H + 2 * K) + H) * D + e]!;
}

export const kvCacheReference = [
  implement<"qkv" | "slots" | "cache", "N" | "H" | "K" | "D">(kvCache.write, ({ qkv, slots, cache }, values) => {
    for (let n = 0; n < values.N; n++) write(qkv, n, cache, slots[n]!, values);
  }),
  implement<"from" | "to" | "cache", "N" | "E">(kvCache.copy, ({ from, to, cache }, { N, E }) => {
    for (let n = 0; n < N; n++) {
      for (let e = 0; e < E; e++) cache[to[n]! * E + e] = cache[from[n]! * E + e]!;
    }
  }),
  implement<keyof Attending, AttendingValue>(kvCache.attend, attend),
  implement<keyof Attending | "cos" | "sin" | "positions", AttendingValue | "R">(
    kvCache.extend,
    ({ qkv, cos, sin, positions, cache, tables, lengths, o }, values) => {
      const { N, H, K, D, R } = values;
      const turned = qkv.slice();
      for (let r = 0; r < N; r++) {
        for (let h = 0; h < H + K; h++) rotateHead(turned, (r * (H + 2 * K) + h) * D, cos, sin, R, positions[r]!, 1);
        write(turned, r, cache, slotOf(tables, r, lengths[r]! - 1, values), values);
      }
      attend({ qkv: turned, cache, tables, lengths, o }, values);
    },
  ),
];
