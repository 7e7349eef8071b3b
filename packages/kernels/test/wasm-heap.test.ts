/** The arena: alignment, reuse, coalescing, and no fragmentation over thousands of steps. */
import { describe, expect, it } from "vitest";
import { createRandom } from "../conformance/random";
import { HEAP_ALIGNMENT, Heap, roundUp } from "../src/wasm/heap";

/** Takes memory, moving the end as a device would. */
function take(heap: Heap, bytes: number): number {
  const found = heap.take(bytes);
  if (found !== undefined) return found;
  heap.extend(heap.end + heap.shortfall(bytes));
  return heap.take(bytes)!;
}

describe("heap", () => {
  it("aligns, keeps blocks apart and rounds sizes by at most an eighth", () => {
    const heap = new Heap(100);
    const taken: [number, number][] = [];
    for (let bytes = 0; bytes < 5000; bytes += 37) taken.push([take(heap, bytes), bytes]);
    taken.sort((a, b) => a[0] - b[0]);
    taken.forEach(([start, bytes], i) => {
      expect(start % HEAP_ALIGNMENT).toBe(0);
      expect(start + bytes).toBeLessThanOrEqual(taken[i + 1]?.[0] ?? heap.end);
    });
    for (const bytes of [1, 64, 65, 1000, 4096, 100_001, 3 * 2 ** 30]) {
      expect(roundUp(bytes)).toBeGreaterThanOrEqual(bytes);
      expect(roundUp(bytes)).toBeLessThanOrEqual(Math.max(bytes + HEAP_ALIGNMENT, bytes * 1.125));
    }
  });

  it("goes on beyond the end of linear memory, for plans of what does not fit", () => {
    const heap = new Heap(0);
    const first = take(heap, 5 * 2 ** 32);
    const second = take(heap, 100);
    expect(second).toBeGreaterThanOrEqual(first + 5 * 2 ** 32);
    heap.free(first);
    expect(heap.take(4 * 2 ** 32)).toBe(first);
    expect(heap.peak).toBeGreaterThan(5 * 2 ** 32);
  });

  it("gives back everything: all free blocks become one", () => {
    const heap = new Heap(0);
    const starts = Array.from({ length: 100 }, (_, i) => take(heap, 1000 + i * 100));
    const end = heap.end;
    for (const i of [...starts.keys()].sort((a, b) => ((a * 37) % 100) - ((b * 37) % 100))) expect(heap.free(starts[i]!)).toBe(true);
    expect(heap.liveBytes).toBe(0);
    expect(heap.free(starts[0]!)).toBe(false);
    expect(heap.take(Math.floor(end * 0.85))).toBeDefined();
    expect(heap.end).toBe(end);
  });

  it("does not grow over thousands of steps of the same shapes", () => {
    const heap = new Heap(4096);
    const random = createRandom("steps");
    const shapes = Array.from({ length: 60 }, () => Math.floor(256 + random.uniform() * 300_000));
    const step = () => {
      const live: number[] = [];
      for (const bytes of shapes) {
        live.push(take(heap, bytes));
        if (live.length > 20) heap.free(live.splice(7, 1)[0]!);
      }
      while (live.length > 0) heap.free(live.pop()!);
    };
    step();
    const after = heap.end;
    for (let i = 0; i < 3000; i++) step();
    expect(heap.end).toBe(after);
  });

  it("stays within half of the peak again when every step is ragged", () => {
    const heap = new Heap(4096);
    const random = createRandom("ragged");
    let peak = 0;
    const kept = Array.from({ length: 30 }, () => take(heap, Math.floor(random.uniform() * 1e5)));
    for (let i = 0; i < 3000; i++) {
      const rows = 64 + Math.floor(random.uniform() * 1000);
      const live = Array.from({ length: 40 }, (_, j) => take(heap, rows * (64 << (j % 4))));
      peak = Math.max(peak, heap.liveBytes);
      for (const start of live) heap.free(start);
      // What lives longer than a step, at ever other places.
      const replaced = i % kept.length;
      heap.free(kept[replaced]!);
      kept[replaced] = take(heap, Math.floor(random.uniform() * 1e5));
    }
    expect(heap.end - 4096).toBeLessThan(peak * 1.5);
  });
});
