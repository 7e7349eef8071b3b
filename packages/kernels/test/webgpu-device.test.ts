/** The webgpu device beyond its kernels: order of writes, pooling, limits, late errors, loss, counters, repeatability. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isRequired } from "../conformance/vitest";
import type { Device, TensorData, TensorRef } from "../src/device";
import { DeviceError, OutOfMemoryError, ShapeError } from "../src/errors";
import { ops } from "../src/ops/index";
import { createWebGpuDevice, type WebGpuDevice } from "../src/webgpu/index";
import { sizeClass } from "../src/webgpu/pool";
import { findAdapter, nullAdapter } from "./webgpu-adapter";

function tensor(device: Device, shape: number[], data?: TensorData): TensorRef {
  const count = shape.reduce((a, b) => a * b, 1);
  const made: TensorRef = { buffer: device.alloc(count * 4), byteOffset: 0, shape, dtype: data instanceof Uint32Array ? "u32" : "f32" };
  if (data) device.write(made, data);
  return made;
}

const ramp = (count: number, scale = 1) => Float32Array.from({ length: count }, (_, i) => scale * Math.sin(i * 1.7));

const found = await findAdapter();
if ("missing" in found) {
  if (isRequired("webgpu")) throw new Error(`REQUIRE_DEVICES: webgpu must be available, got none: ${found.missing}`);
  console.warn(`skipped: the webgpu device's own tests, as webgpu is missing: ${found.missing}`);
}

describe.skipIf("missing" in found)("webgpu device", () => {
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await createWebGpuDevice({ adapter: found as GPUAdapter });
  });
  afterAll(() => device.destroy());

  it("says what it is", () => {
    expect(device.info.kind).toBe("webgpu");
    expect(device.info.name).toMatch(/^webgpu \(.+\)$/);
    expect(device.info.maxBufferBytes).toBeGreaterThanOrEqual(2 ** 27);
  });

  it("runs writes in order with the dispatches around them", async () => {
    const x = tensor(device, [4], ramp(4));
    const sum = tensor(device, [4], new Float32Array(4));
    for (const value of [1, 2, 3]) {
      device.write(x, new Float32Array(4).fill(value));
      device.dispatch(ops.accumulate.add, { tensors: { x, y: sum } });
    }
    device.write(x, new Float32Array(4).fill(100));
    expect([...(await device.read(sum))]).toEqual([6, 6, 6, 6]);
  });

  it("keeps parameters of many dispatches apart", async () => {
    const y = tensor(device, [3], new Float32Array(3));
    const x = tensor(device, [3]);
    for (let i = 1; i <= 1000; i++) {
      device.dispatch(ops.fill.set, { tensors: { y: x }, scalars: { value: i } });
      device.dispatch(ops.accumulate.add, { tensors: { x, y } });
    }
    expect([...(await device.read(y))]).toEqual([500_500, 500_500, 500_500]);
  });

  it("gives a freed buffer to the next allocation, in order", async () => {
    const total = tensor(device, [64], new Float32Array(64));
    const before = device.counters.liveBytes;
    for (let i = 1; i <= 20; i++) {
      const x = tensor(device, [64]);
      device.dispatch(ops.fill.set, { tensors: { y: x }, scalars: { value: i } });
      device.dispatch(ops.accumulate.add, { tensors: { x, y: total } });
      device.free(x.buffer);
    }
    expect(device.counters.liveBytes).toBe(before);
    expect((await device.read(total))[63]).toBe(210);
  });

  it("copies between buffers and inside one", async () => {
    const x = tensor(device, [128], ramp(128));
    const half = { ...x, shape: [64] };
    device.copy(half, { ...half, byteOffset: 256 });
    const result = await device.read(x);
    expect([...result.slice(64)]).toEqual([...ramp(64)]);
  });

  it("reads and writes different views of one buffer in one dispatch", async () => {
    const flat = tensor(device, [128], ramp(128));
    const x = { ...flat, shape: [64] };
    const y = { ...x, byteOffset: 256 };
    device.dispatch(ops.accumulate.add, { tensors: { x, y } });
    const expected = [...ramp(128).slice(64)].map((value, i) => Math.fround(value + ramp(64)[i]!));
    expect([...(await device.read(y))]).toEqual(expected);
  });

  it("refuses overlapping views where one is written", () => {
    const x = tensor(device, [8], ramp(8));
    expect(() => device.dispatch(ops.accumulate.add, { tensors: { x, y: x } })).toThrow(DeviceError);
  });

  it("takes empty tensors", async () => {
    const empty = tensor(device, [0, 8]);
    const dw = tensor(device, [4, 8], ramp(32));
    device.dispatch(ops.matmul.backwardWeight, { tensors: { dy: { ...empty, shape: [0, 4] }, x: empty, dw } });
    expect([...(await device.read(dw))]).toEqual([...ramp(32)]);
    expect(await device.read(empty)).toHaveLength(0);
  });

  it("spreads more than 65,535 workgroups over two dimensions", async () => {
    const N = 70_001;
    const x = tensor(device, [N, 1], ramp(N));
    const y = tensor(device, [N, 1]);
    const rstd = tensor(device, [N]);
    const w = tensor(device, [1], new Float32Array([2]));
    device.dispatch(ops.rmsNorm.forward, { tensors: { x, w, y, rstd }, scalars: { eps: 0 } });
    const result = await device.read(y);
    const expected = ramp(N).map((value) => 2 * Math.sign(value));
    expect(result.findIndex((value, i) => i > 0 && Math.abs(value - expected[i]!) > 1e-5)).toBe(-1);
  });

  it("gives the same bits for the same work", async () => {
    const [M, K, N] = [40, 4096, 36];
    const x = tensor(device, [M, K], ramp(M * K));
    const w = tensor(device, [N, K], ramp(N * K, 0.3));
    const once = async () => {
      const y = tensor(device, [M, N]);
      device.dispatch(ops.matmul.forward, { tensors: { x, w, y } });
      return [...(await device.read(y))];
    };
    expect(await once()).toEqual(await once());
  });

  it("prepares pipelines ahead of time", async () => {
    const fresh = await createWebGpuDevice({ adapter: (await findAdapter()) as GPUAdapter });
    await fresh.prepare([ops.rmsNorm.forward, ops.fill.set], { C: 64 });
    const { pipelines } = fresh.counters;
    expect(pipelines).toBe(2);
    const y = tensor(fresh, [8]);
    fresh.dispatch(ops.fill.set, { tensors: { y }, scalars: { value: 1 } });
    expect(fresh.counters.pipelines).toBe(pipelines);
    await fresh.destroy();
  });

  it("counts", async () => {
    const before = { ...device.counters };
    const x = tensor(device, [16], ramp(16));
    const y = tensor(device, [16], ramp(16));
    for (let i = 0; i < 5; i++) device.dispatch(ops.accumulate.add, { tensors: { x, y } });
    await device.read(y);
    expect(device.counters.dispatches - before.dispatches).toBe(5);
    expect(device.counters.submits - before.submits).toBe(1);
    expect(device.counters.readbacks - before.readbacks).toBe(1);
    expect(device.counters.readbackBytes - before.readbackBytes).toBe(64);
    expect(device.counters.uploadBytes - before.uploadBytes).toBe(128);
    expect(device.counters.liveBytes - before.liveBytes).toBe(128);
  });

  it("refuses wrong shapes, freed and foreign buffers at once", async () => {
    const x = tensor(device, [4], ramp(4));
    const y = tensor(device, [5]);
    expect(() => device.dispatch(ops.accumulate.add, { tensors: { x, y } })).toThrow(ShapeError);
    expect(() => device.write(x, new Float32Array(3))).toThrow(ShapeError);
    expect(() => device.write(x, new Uint32Array(4))).toThrow(ShapeError);
    device.free(x.buffer);
    expect(() => device.free(x.buffer)).toThrow(DeviceError);
    await expect(device.read(x)).rejects.toThrow(DeviceError);
    const other = await createWebGpuDevice({ adapter: (await findAdapter()) as GPUAdapter });
    expect(() => other.write(y, ramp(5))).toThrow(DeviceError);
    await other.destroy();
  });
});

/** A device on Dawn's null backend: its errors are real, its numbers are not. */
async function nullDevice(options: Partial<Parameters<typeof createWebGpuDevice>[0]> = {}) {
  const adapter = await nullAdapter();
  const gpuDevice = await adapter.requestDevice();
  return { gpuDevice, device: await createWebGpuDevice({ gpuDevice, ...options }) };
}

describe("webgpu errors, on Dawn's null backend", () => {
  it("names the op and its shapes in a late validation error", async () => {
    for (const debug of [false, true]) {
      const { gpuDevice, device } = await nullDevice({ debug });
      const x = tensor(device, [4], ramp(4));
      const y = tensor(device, [4], ramp(4));
      const makeGroup = gpuDevice.createBindGroup.bind(gpuDevice);
      // What a bug in a plan would do: bind a buffer that is no storage buffer.
      gpuDevice.createBindGroup = (descriptor) => {
        const buffer = gpuDevice.createBuffer({ size: 256, usage: 0x8 });
        const entries = [...descriptor.entries].map(({ binding }) => ({ binding, resource: { buffer } }));
        return makeGroup({ ...descriptor, entries });
      };
      device.dispatch(ops.accumulate.add, { tensors: { x, y } });
      const error = await device.sync().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(DeviceError);
      expect((error as Error).message).toMatch(/^accumulate_add\(x \(4\), y \(4\)\): /);
      gpuDevice.createBindGroup = makeGroup;
      await device.sync();
      await device.destroy();
      gpuDevice.destroy();
    }
  });

  it("refuses an allocation beyond the limits, with both sizes", async () => {
    const { gpuDevice, device } = await nullDevice();
    const tooMuch = device.info.maxBufferBytes + 4;
    expect(() => device.alloc(tooMuch)).toThrow(OutOfMemoryError);
    try {
      device.alloc(tooMuch);
    } catch (error) {
      expect(error).toMatchObject({ requestedBytes: tooMuch, availableBytes: device.info.maxBufferBytes });
    }
    await device.destroy();
    gpuDevice.destroy();
  });

  it("keeps to a budget, giving up pooled memory first", async () => {
    const { gpuDevice, device } = await nullDevice({ memoryBytes: 4096 });
    const first = device.alloc(4096);
    expect(() => device.alloc(256)).toThrow(OutOfMemoryError);
    device.free(first);
    const second = device.alloc(2048);
    expect(device.counters.liveBytes).toBe(2048);
    device.free(second);
    await device.destroy();
    gpuDevice.destroy();
  });

  it("reports memory that the GPU runs out of late", async () => {
    const { gpuDevice, device } = await nullDevice();
    const pop = gpuDevice.popErrorScope.bind(gpuDevice);
    gpuDevice.popErrorScope = async () => {
      await pop();
      return { message: "out of memory" } as GPUOutOfMemoryError;
    };
    device.alloc(1024);
    gpuDevice.popErrorScope = pop;
    await expect(device.sync()).rejects.toThrow(OutOfMemoryError);
    await device.destroy();
    gpuDevice.destroy();
  });

  it("tells that the GPU is gone, and not that it was given back", async () => {
    const [one, two] = [await nullDevice(), await nullDevice()];
    const told: unknown[] = [];
    void two.device.lost?.then((reason) => told.push(reason));
    await two.device.destroy();
    two.gpuDevice.destroy();
    one.gpuDevice.destroy();
    expect(await one.device.lost).toBeInstanceOf(DeviceError);
    await expect(one.device.sync()).rejects.toThrow(/lost \(destroyed\)/);
    await two.gpuDevice.lost;
    expect(told).toEqual([]);
  });

  it("fails every call after it is destroyed", async () => {
    const { gpuDevice, device } = await nullDevice();
    const x = tensor(device, [4], ramp(4));
    await device.destroy();
    expect(() => device.alloc(4)).toThrow(DeviceError);
    expect(() => device.write(x, ramp(4))).toThrow(DeviceError);
    expect(() => device.dispatch(ops.fill.set, { tensors: { y: x }, scalars: { value: 1 } })).toThrow(/destroyed/);
    await expect(device.read(x)).rejects.toThrow(DeviceError);
    await expect(device.sync()).rejects.toThrow(DeviceError);
    gpuDevice.destroy();
  });

  it("fails every call after the GPU is lost", async () => {
    const { gpuDevice, device } = await nullDevice();
    const x = tensor(device, [4], ramp(4));
    gpuDevice.destroy();
    await gpuDevice.lost;
    expect(() => device.dispatch(ops.fill.set, { tensors: { y: x }, scalars: { value: 1 } })).toThrow(/lost/);
    await expect(device.read(x)).rejects.toThrow(DeviceError);
    await device.destroy();
  });

  it("says what a shader's compiler says", async () => {
    const { gpuDevice, device } = await nullDevice();
    const make = gpuDevice.createShaderModule.bind(gpuDevice);
    gpuDevice.createShaderModule = (descriptor) => make({ ...descriptor, code: `${descriptor.code}\nfn broken() { oops }` });
    await expect(device.prepare([ops.fill.set])).rejects.toThrow(/^fill_set: the shader must compile, got \d+:\d+ error: expected '='/);
    await device.sync();
    await device.destroy();
    gpuDevice.destroy();
  });

  it("wants exactly one of adapter and gpuDevice, and limits that exist", async () => {
    await expect(createWebGpuDevice({})).rejects.toThrow(DeviceError);
    const adapter = await nullAdapter();
    const requiredFeatures = ["no-such-feature" as GPUFeatureName];
    await expect(createWebGpuDevice({ adapter, requiredFeatures })).rejects.toThrow(DeviceError);
  });
});

describe("size classes", () => {
  it("hold what is asked for and waste at most a quarter", () => {
    for (let bytes = 1; bytes < 3e9; bytes = Math.ceil(bytes * 1.37)) {
      const size = sizeClass(bytes);
      expect(size).toBeGreaterThanOrEqual(bytes);
      if (bytes > 256) expect(size).toBeLessThanOrEqual(bytes * 1.25);
      expect(size % 4).toBe(0);
    }
  });
});
