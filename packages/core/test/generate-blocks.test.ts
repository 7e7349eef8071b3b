/** The block allocator's counting. */
import { expect, it } from "vitest";
import { BlockAllocator } from "../src/generate/block-allocator";

it("frees a block with its last reference and hands it out again", () => {
  const blocks = new BlockAllocator(2);
  const shared = blocks.take();
  blocks.retain(shared);
  const own = blocks.take();
  expect(new Set([shared, own])).toEqual(new Set([0, 1]));
  expect(blocks.available).toBe(0);
  expect(() => blocks.take()).toThrow(/got none of 2/);
  blocks.release(shared);
  expect(blocks.available).toBe(0);
  blocks.release(shared);
  expect(blocks.available).toBe(1);
  expect(blocks.take()).toBe(shared);
});

it("refuses to release or retain a free block", () => {
  const blocks = new BlockAllocator(1);
  expect(() => blocks.release(0)).toThrow(/must be in use/);
  expect(() => blocks.retain(0)).toThrow(/must be in use/);
  expect(() => blocks.release(5)).toThrow(/must be in use/);
});
