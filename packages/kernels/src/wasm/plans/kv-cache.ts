/** Plans of attention over the paged cache. */
import type { Phase } from "../pool";
import { type Plan, type PlanCall, phase } from "./plan";

/** Nanoseconds of copying, and of turning, one element. */
const COPY_NS = 0.3;
const TURN_NS = 1;

/** Items are rows times key heads. */
function attending(call: PlanCall, qkv: number): Phase {
  const value = (name: string) => call.value(name);
  const [N, H, K, D, window] = [value("N"), value("H"), value("K"), value("D"), value("window")];
  let positions = 0;
  for (const length of call.words(call.pointer("lengths"), N)) positions += window > 0 ? Math.min(length, window) : length;
  const ns = Math.max(1, (positions / N) * (H / K) * (D * 0.4 + 4));
  const pointers = ["cache", "tables", "lengths", "o"].map((name) => call.pointer(name));
  const numbers = ["N", "L", "B", "H", "K", "D", "block", "scale", "cap", "window"].map(value);
  return phase("kv_cache_attend", [qkv, ...pointers, ...numbers], N * K, ns);
}

export const kvCacheAttend: Plan = (call) => [attending(call, call.pointer("qkv"))];

/** Heads are turned in a copy of the rows; keys and values go from there to the cache, which is then complete. */
export const kvCacheExtend: Plan = (call) => {
  const value = (name: string) => call.value(name);
  const [N, L, H, K, D, T, R] = [value("N"), value("L"), value("H"), value("K"), value("D"), value("T"), value("R")];
  const width = (H + 2 * K) * D;
  let qkv = call.pointer("qkv");
  const turning: Phase[] = [];
  if (R > 0) {
    const turned = call.scratch(N * width * 4);
    const tables = ["cos", "sin", "positions"].map((name) => call.pointer(name));
    turning.push(
      phase("columns_take", [qkv, turned, N, width, width, 0], N, width * COPY_NS),
      phase("rope_rotate", [...tables, turned, T, R, N, width, H + K, D, 1], N, (H + K) * R * TURN_NS),
    );
    qkv = turned;
  }
  const slots = call.scratch(N * 4);
  const lengths = call.words(call.pointer("lengths"), N);
  const tables = call.words(call.pointer("tables"), N * value("B"));
  const block = value("block");
  const words = call.words(slots, N);
  lengths.forEach((length, r) => {
    const t = length - 1;
    words[r] = (tables[r * value("B") + Math.floor(t / block)] as number) * block + (t % block);
  });
  return [
    ...turning,
    phase("kv_cache_write", [qkv, slots, call.pointer("cache"), N, L, H, K, D], N, 2 * K * D * COPY_NS),
    attending(call, qkv),
  ];
};
