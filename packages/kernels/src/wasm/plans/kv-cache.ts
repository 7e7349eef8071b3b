/** Plans of attention over the paged cache. */
import type { Phase } from "../pool";
import { type Plan, type PlanCall, phase } from "./plan";

/** Nanoseconds of copying, and of turning, one element. */
const COPY_NS = 0.3;
const TURN_NS = 1;

/** Items are rows times key heads. */
function attending(call: PlanCall, qkv: number): Phase {
  const N = call.value("N");
  const H = call.value("H");
  const K = call.value("K");
  const D = call.value("D");
  const window = call.value("window");
  const lengths = call.pointer("lengths");
  let positions = 0;
  for (const length of call.words(lengths, N)) positions += window > 0 ? Math.min(length, window) : length;
  const pointers = [qkv, call.pointer("cache"), call.pointer("tables"), lengths, call.pointer("o")];
  const scalars = [call.value("block"), call.value("scale"), call.value("cap"), window];
  const ns = Math.max(1, (positions / N) * (H / K) * (D * 0.4 + 4));
  return phase("kv_cache_attend", [...pointers, N, call.value("L"), call.value("B"), H, K, D, ...scalars], N * K, ns);
}

export const kvCacheAttend: Plan = (call) => [attending(call, call.pointer("qkv"))];

/** Heads are turned in a copy of the rows; keys and values go from there to the cache, which is then complete. */
export const kvCacheExtend: Plan = (call) => {
  const N = call.value("N");
  const H = call.value("H");
  const K = call.value("K");
  const D = call.value("D");
  const R = call.value("R");
  const width = R > 0 ? (H + 2 * K) * D : 0;
  const turned = call.scratch(N * (width + 1) * 4);
  const slots = turned + N * width * 4;
  writeSlots(call, N, slots);
  const phases: Phase[] = [];
  let qkv = call.pointer("qkv");
  if (R > 0) {
    phases.push(phase("columns_take", [qkv, turned, N, width, width, 0], N, width * COPY_NS));
    const tables = [call.pointer("cos"), call.pointer("sin"), call.pointer("positions")];
    phases.push(phase("rope_rotate", [...tables, turned, call.value("T"), R, N, width, H + K, D, 1], N, (H + K) * R * TURN_NS));
    qkv = turned;
  }
  const write = [qkv, slots, call.pointer("cache"), N, call.value("L"), H, K, D];
  phases.push(phase("kv_cache_write", write, N, 2 * K * D * COPY_NS), attending(call, qkv));
  return phases;
};

/** Where the newest position of each row goes, u32 (N). */
function writeSlots(call: PlanCall, N: number, slots: number): void {
  const B = call.value("B");
  const block = call.value("block");
  const lengths = call.words(call.pointer("lengths"), N);
  const tables = call.words(call.pointer("tables"), N * B);
  const words = call.words(slots, N);
  for (let r = 0; r < N; r++) {
    const t = (lengths[r] as number) - 1;
    words[r] = (tables[r * B + Math.floor(t / block)] as number) * block + (t % block);
  }
}
