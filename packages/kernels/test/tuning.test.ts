/** Tuning: what a table may hold, what is chosen by which times, and that every cut and form computes the same. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRequired } from "../conformance/vitest";
import { createDryGpu } from "../src/dry/gpu";
import { createDryDevice } from "../src/dry/index";
import { DeviceError, ShapeError } from "../src/errors";
import { ops } from "../src/ops/index";
import { joinTuning, type TuningChoices, tableOf, tuningFrom } from "../src/tuning";
import {
  createWebGpuDevice,
  type TunedClass,
  type TunedProducts,
  type TuneOptions,
  tuneDevice,
  type WebGpuDevice,
} from "../src/webgpu/index";
import { cut, productClass } from "../src/webgpu/plans/cut";
import { findAdapter } from "./webgpu-adapter";

const key = { adapter: "a GPU", kernels: "1234" };
const products: TuningChoices = { "weight deep": { tile: "small", groups: 4096 }, "forward narrow": { groups: 0 } };
const choices: TuningChoices = { ...products, "attention forward": "subgroups" };

describe("a table", () => {
  it("comes back from JSON", () => {
    expect(tuningFrom(JSON.parse(JSON.stringify(tableOf(key, choices))), key, true)).toEqual({ choices });
  });

  it("gives a device without subgroups what needs none", () => {
    expect(tuningFrom(tableOf(key, choices), key, false)).toEqual({ choices: products });
  });

  it("is not used, and says why, where it is of other kernels, of another adapter, or no table", () => {
    const table = tableOf(key, choices);
    const reason = (kept: unknown, of = key) => {
      const { choices: taken, ignored } = tuningFrom(kept, of, true);
      expect(taken).toEqual({});
      return ignored;
    };
    expect(reason(table, { ...key, kernels: "5678" })).toMatch(/must be of the kernels 5678, got 1234\. Tune again/);
    expect(reason(table, { ...key, adapter: "another" })).toMatch(/must know the adapter "another", got a GPU/);
    expect(reason("{ half")).toMatch(/must be a JSON object, got string/);
    expect(reason([table])).toMatch(/got a list/);
    expect(reason({ ...table, adapters: null })).toMatch(/`kernels` and `adapters`/);
    for (const wrong of [{ groups: -1 }, { groups: 1.5 }, { groups: 1e9 }, { tile: "huge", groups: 0 }, { tile: "large" }, 4, null]) {
      expect(reason(tableOf(key, { "weight deep": wrong } as TuningChoices))).toMatch(/"weight deep" must be a class/);
    }
    expect(reason(tableOf(key, { "weight wide": { groups: 0 } } as TuningChoices))).toMatch(/"weight wide" must be a class/);
    for (const wrong of ["tiles", true, { groups: 0 }]) {
      expect(reason(tableOf(key, { reductions: wrong } as unknown as TuningChoices))).toMatch(/"reductions" must be a class/);
    }
    expect(reason(tableOf(key, { "weight deep": "subgroups" } as unknown as TuningChoices))).toMatch(/"weight deep" must be a class/);
  });

  it("never throws, whatever a file holds", () => {
    fc.assert(fc.property(fc.jsonValue(), (kept) => tuningFrom(kept, key, true).ignored !== undefined));
  });

  it("takes in what was measured since, and forgets what was measured with other kernels", () => {
    const [old, fresh] = [tableOf(key, choices), tableOf({ ...key, adapter: "another" }, {})];
    expect(joinTuning(old, fresh).adapters).toEqual({ "a GPU": choices, another: {} });
    expect(joinTuning(old, tableOf(key, {})).adapters).toEqual({ "a GPU": {} });
    expect(joinTuning({ ...old, kernels: "5678" }, fresh)).toEqual(fresh);
    expect(joinTuning("{ half", fresh)).toEqual(fresh);
  });
});

/** The gradient of a square weight over 4,096 tokens: 9 x 9 large tiles or 18 x 18 small ones. */
const deep = { rows: 576, columns: 576, depth: 4096 };
const scratch = 64 * 2 ** 20;

describe("a cut", () => {
  it("is the rule's, or as chosen, within the scratch", () => {
    // 81 tiles: 1,024 / 81 slices, of 352 = 22 stages each
    expect(cut(deep, scratch)).toEqual({ tile: "large", slices: 12, slice: 352, grid: [9, 9, 12] });
    expect(cut(deep, scratch, { groups: 1024 })).toEqual(cut(deep, scratch));
    expect(cut(deep, scratch, { groups: 0 })).toMatchObject({ tile: "large", slices: 1 });
    // slices of at least 256
    expect(cut(deep, scratch, { groups: 65_536 })).toMatchObject({ slices: 16, slice: 256 });
    expect(cut(deep, scratch, { tile: "small", groups: 4096 })).toMatchObject({ tile: "small", slices: 12, grid: [18, 18, 12] });
    expect(cut(deep, 2 * 4 * 576 * 576, { groups: 4096 })).toMatchObject({ slices: 2, slice: 2048 });
  });

  it("is chosen by class", () => {
    expect(productClass("weight", deep)).toBe("weight deep");
    expect(productClass("input", { rows: 4096, columns: 16, depth: 8 })).toBe("input narrow");
    expect(productClass("forward", { rows: 1024, columns: 1024, depth: 1 })).toBe("forward large");
    expect(productClass("forward", { rows: 64, columns: 64, depth: 512 })).toBeUndefined();
  });
});

type Grid = readonly [number, number, number];
/** Workgroups of each dispatch of a call: of a product one, or slices and the second pass. */
type Grids = readonly [Grid, ...Grid[]];

const cutsOf = (tuned: TunedClass | undefined) => (tuned as TunedProducts).cuts;

/** A GPU that computes nothing, in the time that `cost` gives for the dispatches of a call and their programs. */
async function fakeDevice(
  cost: (grids: Grids, programs: readonly string[]) => number,
  { hasClock = true, hasSubgroups = false, wrong = (_: Grids, __: readonly string[]): boolean => false } = {},
) {
  const gpuDevice = createDryGpu(2 ** 28);
  if (hasSubgroups) (gpuDevice.features as Set<GPUFeatureName>).add("subgroups");
  Object.assign(gpuDevice, { createComputePipeline: ({ label }: GPUComputePipelineDescriptor) => ({ label }) });
  const encoder = gpuDevice.createCommandEncoder();
  const pass = encoder.beginComputePass();
  let grids: Grid[] = [];
  let programs: string[] = [];
  let program = "";
  const setPipeline = ({ label }: GPUComputePipeline) => {
    program = label;
  };
  const dispatchWorkgroups = (x: number, y = 1, z = 1) => {
    grids.push([x, y, z]);
    programs.push(program);
  };
  Object.assign(encoder, { beginComputePass: () => ({ ...pass, setPipeline, dispatchWorkgroups }) });
  const device = await createWebGpuDevice({ gpuDevice, isSoftware: false });
  let elapsed = 0;
  const dispatch = device.dispatch.bind(device);
  const timed: WebGpuDevice["dispatchTimed"] = (entry, args, report) => {
    [grids, programs] = [[], []];
    dispatch(entry, args);
    const ms = cost(grids as unknown as Grids, programs);
    elapsed += ms;
    report(hasClock ? ms : 0);
  };
  Object.assign(device, {
    dispatchTimed: timed,
    dispatch: (...[entry, args]: Parameters<typeof dispatch>) => timed(entry, args, () => {}),
    read: async () => Float32Array.of(wrong(grids as unknown as Grids, programs) ? 1 : 2),
  });
  const tune = (options: Partial<TuneOptions> = {}) =>
    tuneDevice(device, { now: () => elapsed, layouts: ["weight"], shapes: [deep], ...options });
  return { device, tune };
}

/** One dispatch is done in parts, each of which takes as many workgroups as there are, up to 4,096; the second pass of slices is free. */
const wide = ([[x, y, z]]: Grids) => 40_000 / Math.min(4096, x * y * z);
/** A dispatch beyond the first costs a hundred times the first. */
const slowToStart = ({ length }: Grids) => 10 + 1000 * (length - 1);

describe("what is chosen", () => {
  it("is what is fastest: many workgroups here, one pass there", async () => {
    const { device, tune } = await fakeDevice(wide);
    const { table, classes, clock } = await tune();
    expect(clock).toBe("gpu");
    // 18 x 18 x 12 = 3,888 workgroups where the rule has 9 x 9 x 12
    expect(table).toEqual(tableOf(device.tuner.key, { "weight deep": { tile: "small", groups: 4096 } }));
    expect(classes).toMatchObject([{ name: "weight deep", gain: expect.closeTo(4, 10) }]);
    const [rule, ...others] = cutsOf(classes[0]);
    expect(rule).toMatchObject({ isRule: true, tile: "large", slices: 12, ms: expect.closeTo(40_000 / 972, 10) });
    expect(rule!.gflops).toBeCloseTo((2 * 576 * 576 * 4096) / (40_000 / 972) / 1e6, 6);
    expect(others.every(({ isRule }) => !isRule)).toBe(true);

    expect((await (await fakeDevice(slowToStart)).tune()).classes[0]).toMatchObject({ choice: { groups: 0 }, gain: 101 });
  });

  it("is nothing where nothing is gained, or where one shape would lose", async () => {
    const same = await (await fakeDevice(() => 10)).tune();
    expect(Object.values(same.table.adapters)).toEqual([{}]);
    expect(same.classes[0]).toMatchObject({ choice: undefined, gain: 1 });
    // small tiles are four times as fast for one shape and lose 5 % at the other, which has 10 x 10 large ones or 20 x 20
    const torn = await fakeDevice((grids) => ({ 10: 10, 20: 10.5 })[grids[0][0]] ?? wide(grids));
    const [tuned] = (await torn.tune({ shapes: [deep, { rows: 640, columns: 640, depth: 1024 }] })).classes;
    expect(tuned).toMatchObject({ choice: { groups: 4096 }, gain: expect.closeTo(2 / (12 / 16 + 1), 10) });
  });

  it("is never what computes something else", async () => {
    const { tune } = await fakeDevice(wide, { wrong: ([[x]]) => x === 18 });
    const [tuned] = (await tune()).classes;
    // the rule's large tiles, 16 slices for 12
    expect(tuned).toMatchObject({ choice: { groups: 4096 }, gain: expect.closeTo(16 / 12, 10) });
    for (const { tile, problem } of cutsOf(tuned)) expect(problem !== undefined).toBe(tile === "small");
    expect(cutsOf(tuned).find(({ tile }) => tile === "small")?.problem).toMatch(/the result: 1 of 1 elements differ/);
  });

  it("is subgroups where kernels are faster with them for all that was measured, and right", async () => {
    /** Half the time with subgroups, except that attention of wide heads takes 1.1 times as long forward, and reductions are the same. */
    const share = (program: string) => {
      if (!program.endsWith(" with subgroups") || !program.startsWith("attention_")) return 2;
      return program.startsWith("attention_forward (D up to 128") ? 2.2 : 1;
    };
    const total = (_: Grids, programs: readonly string[]) => programs.reduce((sum, program) => sum + share(program), 0);
    const { device, tune } = await fakeDevice(total, { hasSubgroups: true });
    const { table, classes } = await tune({ layouts: [] });
    expect(table).toEqual(tableOf(device.tuner.key, { "attention backward": "subgroups" }));
    // δ, then dq and the rest: 2 + 2 + 2 by the rule
    expect(classes.map(({ name, choice, gain }) => [name, choice, gain])).toEqual([
      ["reductions", undefined, 1],
      ["attention forward", undefined, 1],
      ["attention backward", "subgroups", expect.closeTo(6 / 4, 10)],
    ]);
    const wrong = await fakeDevice(total, { hasSubgroups: true, wrong: (_, programs) => programs.some((name) => /with/.test(name)) });
    const [tuned] = (await wrong.tune({ layouts: [], kernels: ["attention backward"] })).classes;
    expect(tuned).toMatchObject({ choice: undefined, forms: [{}, { problem: expect.stringMatching(/the result: 1 of 1/) }, {}, {}] });
    expect((await (await fakeDevice(total)).tune({ layouts: [] })).classes).toEqual([]);
  });

  it("goes by the host's clock where the GPU's stands still", async () => {
    const tuned = await (await fakeDevice(wide, { hasClock: false })).tune();
    expect(tuned.clock).toBe("host");
    expect(tuned.classes[0]).toMatchObject({ choice: { tile: "small", groups: 4096 }, gain: expect.closeTo(4, 10) });
  });

  it("is not asked of an emulated GPU, nor of products too small to gain", async () => {
    const emulated = await createWebGpuDevice({ gpuDevice: createDryGpu(2 ** 28), isSoftware: true });
    await expect(tuneDevice(emulated, { now: () => 0 })).rejects.toThrow(DeviceError);
    const { tune } = await fakeDevice(wide);
    await expect(tune({ shapes: [{ rows: 64, columns: 64, depth: 64 }] })).rejects.toThrow(ShapeError);
  });
});

it("a device that plans takes the scratch of the device it plans for", async () => {
  const gpuDevice = createDryGpu(2 ** 28);
  const { key: own } = (await createWebGpuDevice({ gpuDevice, isSoftware: false })).tuner;
  const table = tableOf(own, { "weight deep": { groups: 0 } });
  const peaks = [];
  for (const tuning of [undefined, table]) {
    const planned = await createDryDevice((await createWebGpuDevice({ gpuDevice, isSoftware: false, tuning })).info);
    const tensor = (...shape: [number, number]) => {
      return { buffer: planned.alloc(4 * shape[0] * shape[1]), byteOffset: 0, shape, dtype: "f32" as const };
    };
    const tensors = { dy: tensor(4096, 576), x: tensor(4096, 576), dw: tensor(576, 576) };
    planned.dispatch(ops.matmul.backwardWeight, { tensors });
    peaks.push(planned.memory().atPeak.scratch);
  }
  expect(peaks[0]).toBeGreaterThanOrEqual(12 * 4 * 576 * 576);
  expect(peaks[1]).toBe(0);
});

const found = await findAdapter();
if ("missing" in found && isRequired("webgpu")) throw new Error(`REQUIRE_DEVICES: webgpu must be available, got none: ${found.missing}`);

describe.skipIf("missing" in found)("on a GPU", () => {
  /** An adapter makes one device. */
  const adapter = async () => (await findAdapter()) as GPUAdapter;

  it("every cut computes the same product, and a table that is in use is said and followed", async () => {
    const device = await createWebGpuDevice({ adapter: await adapter() });
    const awkward = { rows: 76, columns: 36, depth: 1030 };
    const { classes } = await tuneDevice(device, {
      now: () => 0,
      samples: 1,
      sampleMs: 0,
      layouts: ["weight"],
      shapes: [awkward],
      kernels: [],
      allowSoftware: true,
    });
    // whole, or in the rule's four slices of 272: 1,030 has room for four of 256
    expect(cutsOf(classes[0]).map(({ tile, slices, isRule }) => [tile, slices, isRule])).toEqual([
      ["small", 4, true],
      ["small", 1, false],
      ["large", 1, false],
      ["large", 4, false],
    ]);
    expect(cutsOf(classes[0]).filter(({ problem }) => problem !== undefined)).toEqual([]);
    expect(device.info.tuning).toBeUndefined();

    const tuned = await createWebGpuDevice({
      adapter: await adapter(),
      tuning: tableOf(device.tuner.key, { "weight deep": { groups: 0 } }),
    });
    expect(tuned.info).toMatchObject({ name: expect.stringMatching(/, tuned\)$/), tuning: { choices: { "weight deep": { groups: 0 } } } });
    const dispatches = [];
    for (const one of [device, tuned]) {
      const { dispatches: before } = one.counters;
      const tensor = (...shape: [number, number]) => ({
        buffer: one.alloc(4 * shape[0] * shape[1]),
        byteOffset: 0,
        shape,
        dtype: "f32" as const,
      });
      const tensors = { dy: tensor(1030, 76), x: tensor(1030, 36), dw: tensor(76, 36) };
      one.dispatch(ops.matmul.backwardWeight, { tensors });
      await one.sync();
      dispatches.push(one.counters.dispatches - before);
      await one.destroy();
    }
    expect(dispatches).toEqual([2, 1]);

    const stale = await createWebGpuDevice({ adapter: await adapter(), tuning: { kernels: "old", adapters: {} } });
    expect(stale.info.name).not.toMatch(/tuned/);
    expect(stale.info.tuning?.ignored).toMatch(/got old/);
    await stale.destroy();
  });
});
