/** What the wasm device promises beyond the kernels: memory, growth, errors, threads, and bits that do not depend on them. */
import { afterAll, describe, expect, it } from "vitest";
import { dataOf } from "../conformance/case";
import { cases, execute, runTrial, type Trial, type Values } from "../conformance/index";
import type { Device, TensorRef } from "../src/device";
import { DeviceError, OutOfMemoryError, ShapeError } from "../src/errors";
import { entryPoints, ops } from "../src/ops/index";
import { createWasmDevice } from "../src/wasm/index";
import { spawn } from "./wasm-spawn";

const f32 = (device: Device, count: number): TensorRef => ({
  buffer: device.alloc(count * 4),
  byteOffset: 0,
  shape: [count],
  dtype: "f32",
});

/** Sizes at which every entry point is cut into many grains. */
const LARGE: Readonly<Record<string, Values>> = {
  accumulate_add: { N: 300_001 },
  adamw_sum_squares: { N: 400_003 },
  adamw_step: { N: 100_001 },
  attention_forward: { N: 700, S: 3, H: 4, K: 2, D: 32 },
  attention_backward: { N: 700, S: 3, H: 4, K: 2, D: 32 },
  binary_forward: { N: 300_001 },
  binary_backward: { N: 200_001 },
  columns_place: { N: 3000, C: 100, D: 300 },
  columns_take: { N: 3000, C: 100, D: 300 },
  dropout_apply: { N: 100_001 },
  embedding_forward: { V: 500, C: 200, N: 3000 },
  embedding_backward: { N: 3000, C: 128, U: 400, V: 500 },
  fill_set: { N: 500_001 },
  gated_activation_forward: { N: 600, F: 130 },
  gated_activation_backward: { N: 600, F: 130 },
  head_norm_forward: { N: 1000, A: 32, B: 32, H: 4, K: 2 },
  head_norm_backward: { N: 1000, A: 32, B: 32, H: 4, K: 2 },
  kv_cache_write: { N: 3000, L: 4000, H: 4, K: 2, D: 16 },
  kv_cache_copy: { N: 3000, L: 8000, E: 128 },
  kv_cache_extend: { N: 16, H: 4, K: 2, D: 64, B: 40, L: 1360, T: 11, R: 32 },
  kv_cache_attend: { N: 16, H: 4, K: 2, D: 64, B: 40 },
  layer_norm_forward: { N: 1500, C: 131 },
  layer_norm_backward: { N: 1500, C: 131 },
  matmul_forward: { M: 300, K: 130, N: 250 },
  matmul_backward_input: { M: 300, K: 130, N: 250 },
  matmul_backward_weight: { M: 300, K: 130, N: 250 },
  matmul_backward_bias: { M: 1000, N: 500 },
  normed_matmul_forward: { M: 300, K: 130, N: 250 },
  normed_matmul_gated: { M: 300, K: 130, F: 125 },
  policy_loss_fused: { N: 9000 },
  rms_norm_forward: { N: 1500, C: 131 },
  rms_norm_backward: { N: 1500, C: 131 },
  rope_rotate: { N: 2000, T: 64, R: 16, D: 32, P: 200, heads: 6 },
  sample_forward: { N: 16, V: 8000, W: 250 },
  segment_sum: { N: 200_000, S: 40 },
  segment_broadcast: { N: 200_000, S: 40 },
  token_logprob_forward: { N: 200, C: 70, V: 1500 },
  token_logprob_statistics: { N: 200, C: 70, V: 1500 },
  token_logprob_results: { N: 10_000 },
  token_logprob_coefficients: { N: 30_000 },
  token_logprob_backward: { N: 200, C: 70, V: 1500 },
  unary_forward: { N: 100_001 },
  unary_backward: { N: 100_001 },
};

type Tensors = Awaited<ReturnType<typeof execute>>;

describe("threads", () => {
  const devices: Device[] = [];
  afterAll(async () => {
    await Promise.all(devices.map((device) => device.destroy()));
  });

  it("gives the same bits for 1, 2 and 8 threads, twice", async () => {
    for (const threads of [1, 2, 8])
      devices.push(await createWasmDevice({ relaxed: false, threads, spins: 2000, ...(threads > 1 ? { spawn } : {}) }));
    const [one, ...others] = devices as [Device, Device, Device];
    const missing: string[] = [];
    for (const name of Object.keys(LARGE)) expect(entryPoints.has(name)).toBe(true);
    const shared = new Set<string>();
    for (const name of entryPoints.keys()) {
      const item = cases.find(({ entry }) => entry.name === name)!;
      const size = LARGE[name];
      if (!size) {
        missing.push(name);
        continue;
      }
      const values = { ...item.sizes.at(-1), ...size };
      const trial: Trial = { id: `${item.entry.name} ${item.name} large`, case: item, values, absent: [] };
      const data = dataOf(trial, true);
      const expected = await execute(one, trial, data);
      for (const device of others) {
        const submits = device.counters.submits;
        for (let again = 0; again < 2; again++) expect(firstDifference(await execute(device, trial, data), expected), trial.id).toBe("");
        if (device.counters.submits > submits) shared.add(item.entry.name);
      }
    }
    // Every size above really was shared among threads.
    expect(Object.keys(LARGE).filter((name) => !shared.has(name))).toEqual([]);
    console.info(`not compared across thread counts: ${missing.join(", ")}`);
  });

  it("agrees with the reference where blocks, depths and parts of the vocabulary meet", async () => {
    const device = devices[1]!;
    const sizes: readonly [string, Values][] = [
      ["matmul_forward", { M: 485, K: 531, N: 211 }],
      ["matmul_backward_input", { M: 250, K: 211, N: 531 }],
      ["matmul_backward_weight", { M: 531, K: 211, N: 250 }],
      ["attention_forward", { N: 500, S: 2, H: 3, K: 1, D: 40 }],
      ["attention_backward", { N: 500, S: 2, H: 3, K: 1, D: 40 }],
      ["token_logprob_forward", { N: 130, C: 270, V: 1500 }],
      ["token_logprob_backward", { N: 130, C: 270, V: 1500 }],
    ];
    for (const [name, size] of sizes) {
      const item = cases.find(({ entry }) => entry.name === name)!;
      await runTrial(device, { id: `${name} where blocks meet`, case: item, values: { ...item.sizes.at(-1), ...size }, absent: [] });
    }
  });

  it("does all the work itself when its workers never wake", async () => {
    const asleep = () => ({ ready: Promise.resolve(), terminate: () => {} });
    const device = await createWasmDevice({ relaxed: false, threads: 3, spawn: asleep });
    const y = f32(device, 500_000);
    device.dispatch(ops.fill.set, { tensors: { y }, scalars: { value: 7 } });
    expect((await device.read(y)).every((x) => x === 7)).toBe(true);
    expect(device.counters.submits).toBe(1);
    await device.destroy();
  });

  it("rejects with the cause when a worker cannot start", async () => {
    const terminated: number[] = [];
    const broken = createWasmDevice({
      threads: 2,
      spawn: ({ index }) => ({ ready: Promise.reject(new Error("no threads here")), terminate: () => void terminated.push(index) }),
    });
    await expect(broken).rejects.toThrow(DeviceError);
    expect(terminated).toEqual([1]);
  });

  it("refuses threads without a way to start or share them", async () => {
    await expect(createWasmDevice({ threads: 2 })).rejects.toThrow(/needs `spawn`/);
    await expect(createWasmDevice({ threads: 2, spawn, shared: false })).rejects.toThrow(/shared memory/);
    await expect(createWasmDevice({ threads: 0 })).rejects.toThrow(/positive integer/);
  });
});

/** Where two results differ in bits; empty when they do not. (`toEqual` takes seconds on arrays of this size.) */
function firstDifference(actual: Tensors, expected: Tensors): string {
  for (const [name, data] of Object.entries(expected)) {
    const [want, got] = [data, actual[name]!].map((array) => new Uint32Array(array.buffer, array.byteOffset, array.length)) as [
      Uint32Array,
      Uint32Array,
    ];
    for (let i = 0; i < want.length; i++) if (want[i] !== got[i]) return `${name}[${i}]: ${data[i]} became ${actual[name]![i]}`;
  }
  return "";
}

describe("memory", () => {
  for (const shared of [true, false]) {
    it(`grows on demand and keeps what it holds (${shared ? "shared" : "unshared"})`, async () => {
      const device = await createWasmDevice({ shared, relaxed: false });
      const first = f32(device, 1000);
      device.write(
        first,
        Float32Array.from({ length: 1000 }, (_, i) => i),
      );
      const big = f32(device, 20_000_000);
      device.dispatch(ops.fill.set, { tensors: { y: big }, scalars: { value: 2 } });
      expect((await device.read({ ...big, byteOffset: 79_999_744, shape: [2] }))[1]).toBe(2);
      expect((await device.read(first))[999]).toBe(999);
      await device.destroy();
    });
  }

  it("reports what was asked for and what there is when memory runs out, and lives on", async () => {
    const device = await createWasmDevice({ maxMemoryBytes: 8 << 20, relaxed: false });
    const kept = device.alloc(1 << 20);
    const attempt = () => device.alloc(32 << 20);
    expect(attempt).toThrow(OutOfMemoryError);
    try {
      attempt();
    } catch (error) {
      const { requestedBytes, availableBytes } = error as OutOfMemoryError;
      expect(requestedBytes).toBe(32 << 20);
      expect(availableBytes).toBeGreaterThan(1 << 20);
      expect(availableBytes).toBeLessThan(8 << 20);
    }
    device.free(kept);
    expect(device.alloc(4 << 20).byteLength).toBe(4 << 20);
    await device.destroy();
  });

  it("reaches the last bytes of its memory without touching what lies beyond", async () => {
    const device = await createWasmDevice({ maxMemoryBytes: 4 << 20, relaxed: false });
    const buffers: TensorRef[] = [];
    for (let bytes = 1 << 20; bytes >= 64; bytes /= 2) {
      try {
        for (;;) buffers.push(f32(device, bytes / 4));
      } catch (error) {
        expect(error).toBeInstanceOf(OutOfMemoryError);
      }
    }
    const [largest] = buffers as [TensorRef];
    for (const y of buffers) device.dispatch(ops.accumulate.add, { tensors: { x: { ...largest, shape: y.shape }, y } });
    await device.destroy();
  });

  it("refuses freed and foreign buffers, and views outside theirs", async () => {
    const device = await createWasmDevice({ relaxed: false });
    const other = await createWasmDevice({ relaxed: false });
    const x = f32(device, 8);
    expect(() => other.write(x, new Float32Array(8))).toThrow(DeviceError);
    expect(() => device.write({ ...x, shape: [9] }, new Float32Array(9))).toThrow(ShapeError);
    expect(() => device.write(x, new Uint32Array(8))).toThrow(ShapeError);
    device.free(x.buffer);
    expect(() => device.free(x.buffer)).toThrow(DeviceError);
    await expect(device.read(x)).rejects.toThrow(DeviceError);
    await device.destroy();
    expect(() => device.alloc(8)).toThrow(/destroyed/);
    await other.destroy();
  });

  it("counts what a step does", async () => {
    const device = await createWasmDevice({ relaxed: false });
    const x = f32(device, 8);
    const y = f32(device, 8);
    device.write(x, new Float32Array(8).fill(3));
    device.dispatch(ops.fill.set, { tensors: { y }, scalars: { value: 1 } });
    device.dispatch(ops.accumulate.add, { tensors: { x, y } });
    device.copy(y, x);
    expect([...(await device.read(x))]).toEqual(new Array(8).fill(4));
    expect(device.counters).toMatchObject({ dispatches: 2, pipelines: 2, readbacks: 1, readbackBytes: 32, uploadBytes: 32, liveBytes: 64 });
    expect(device.info).toMatchObject({ kind: "wasm", threads: 1, relaxed: false, name: "wasm (strict SIMD, 1 thread)" });
    await device.destroy();
  });
});
