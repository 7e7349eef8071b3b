/** The replay buffer: the oldest make room, draws are seeded and even, and a captured buffer goes on as it was. */
import { expect, test } from "vitest";
import { ReplayBuffer } from "../src/rl/replay-buffer";

function filled(capacity: number, count: number): ReplayBuffer<number> {
  const buffer = new ReplayBuffer<number>(capacity);
  for (let i = 0; i < count; i++) buffer.add(i);
  return buffer;
}

const contents = (buffer: ReplayBuffer<number>) => [...(buffer.capture((item) => item).items as number[])].sort((a, b) => a - b);

test("keeps the newest items once it is full", () => {
  expect(contents(filled(4, 3))).toEqual([0, 1, 2]);
  expect(contents(filled(4, 9))).toEqual([5, 6, 7, 8]);
  expect(filled(4, 9).size).toBe(4);
});

test("draws by seed and stream, evenly and with replacement", () => {
  const buffer = filled(8, 8);
  expect(buffer.sample(20, 1, 2)).toEqual(buffer.sample(20, 1, 2));
  expect(buffer.sample(20, 1, 2)).not.toEqual(buffer.sample(20, 1, 3));
  expect(buffer.sample(20, 1, 2).slice(0, 5)).toEqual(buffer.sample(5, 1, 2));
  const counts = new Array<number>(8).fill(0);
  for (const item of buffer.sample(8000, 5, 0)) counts[item] = (counts[item] as number) + 1;
  // Five standard deviations of a binomial with 8000 draws at 1/8.
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(8000 * (1 / 8) * (7 / 8)));
});

test("goes on from JSON as if it had never stopped", () => {
  const buffer = filled(5, 7);
  const again = new ReplayBuffer<number>(5);
  again.add(99);
  again.restore(
    JSON.parse(JSON.stringify(buffer.capture((item) => ({ item })))) as Record<string, unknown>,
    (json) => (json as { item: number }).item,
  );
  for (const one of [buffer, again]) for (const item of [20, 21]) one.add(item);
  expect(again.capture((item) => item)).toEqual(buffer.capture((item) => item));
  expect(again.sample(10, 3, 4)).toEqual(buffer.sample(10, 3, 4));
});
