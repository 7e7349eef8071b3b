/**
 * The kernels that have a form with subgroups, in that form, on whatever adapter there is. Attention takes an emulated GPU ten seconds or more for each width
 * of a head to compile, and vocab-pair is mostly products, so heads of 64 channels and the last size of the other kernels stand for all;
 * `EVERY_FORM=1 npx vitest run packages/kernels/test/conformance-webgpu-subgroups.test.ts` takes every case, in some minutes.
 */
import { type Case, cases } from "../conformance/index";
import { runConformance } from "../conformance/vitest";
import { KERNEL_CLASSES, tableOf } from "../src/tuning";
import { createWebGpuDevice } from "../src/webgpu/index";
import { plans } from "../src/webgpu/plans/index";
import { tuningKey } from "../src/webgpu/tuning-key";
import { findAdapter } from "./webgpu-adapter";

const isEvery = process.env.EVERY_FORM === "1";
const WIDEST = 128;
/** Attention in tiles: an emulated GPU has another, so this is asked for as hardware; the rest is the same on both. */
const isAttention = ({ entry }: Case) => entry.name.startsWith("attention_");

const hasForms = ({ entry }: Case) =>
  plans
    .get(entry.name)
    ?.programs({ isSoftware: false }, { D: 64 })
    .some(({ withSubgroups }) => withSubgroups);
const sizesOf = (item: Case) => {
  if (isAttention(item)) return item.sizes.filter(({ D }) => (isEvery ? D! <= WIDEST : D === 64));
  if (isEvery) return item.sizes;
  return item.entry.name.startsWith("vocab_pair_") ? [] : item.sizes.slice(-1);
};

for (const isSoftware of [true, false]) {
  runConformance({
    name: `subgroups (${isSoftware ? "reductions" : "attention"})`,
    cases: cases.filter((item) => hasForms(item) && isAttention(item) !== isSoftware).map((item) => ({ ...item, sizes: sizesOf(item) })),
    create: async () => {
      const adapter = await findAdapter();
      if ("missing" in adapter) return adapter;
      if (!adapter.features.has("subgroups")) return { missing: "the adapter offers none" };
      const choices = Object.fromEntries(KERNEL_CLASSES.map((name) => [name, "subgroups"]));
      return createWebGpuDevice({ adapter, isSoftware, tuning: tableOf(tuningKey(adapter.info, isSoftware), choices) });
    },
  });
}
