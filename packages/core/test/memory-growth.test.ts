/// <reference types="node" />
/// <reference types="@webgpu/types" />
/** Steps leave nothing behind: device memory, buffers and bind groups to the last one, the host's heap within a bound. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Device } from "@trimtab/kernels";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { createWebGpuDevice } from "@trimtab/kernels/webgpu";
import { describe, expect, it, vi } from "vitest";
import { create } from "webgpu";
import { Decoder } from "../src/models/decoder";
import { sft } from "../src/trainers/sft";
import { isRequired } from "./devices";
import { tinyModel } from "./trainer-model";

const WARM_UP = 20;
const COMPILED = 300;
/** A step's tape and tensors are several kilobytes. */
const MOST_BYTES_A_STEP = 1024;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function heapBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return process.memoryUsage().heapUsed;
}

/** An embedding, a norm and a head: the same kinds of ops as in a model with layers, in fewer dispatches. */
function train(device: Device, maxSteps: number) {
  const tiny = tinyModel(device);
  const decoder = new Decoder(device, { ...tiny.decoder.config, layers: 0 });
  tiny.decoder.dispose();
  decoder.parameters.initialise(1);
  const model = { ...tiny, decoder };
  return { decoder, steps: sft({ model, dataset: [{ text: "abc" }], maxSteps, perDeviceTrainBatchSize: 1, learningRate: 1e-2 }) };
}

/** Trains and compares step WARM_UP with the one `count` later. `made` counts what the device asked of its host so far. */
async function trainAndCompare(device: Device, count: number, made: () => Readonly<Record<string, number>>): Promise<void> {
  // The JavaScript engine compiles what runs often for some hundred steps: that code is heap too.
  const first = train(device, COMPILED);
  for await (const _ of first.steps);
  first.decoder.dispose();
  const reading = () => ({
    live: device.counters.liveBytes,
    peak: device.counters.peakBytes,
    pipelines: device.counters.pipelines,
    ...made(),
  });
  let counts: ReturnType<typeof reading> | undefined;
  let heap = Number.NaN;
  const { decoder, steps } = train(device, WARM_UP + count);
  for await (const { step, metrics } of steps) {
    if (step === WARM_UP) {
      counts = reading();
      heap = await heapBytes();
    }
    if (step === WARM_UP + count) {
      expect(metrics.loss).toBeLessThan(1);
      expect(reading()).toEqual(counts);
      expect(((await heapBytes()) - heap) / count).toBeLessThan(MOST_BYTES_A_STEP);
    }
  }
  expect(counts).toBeDefined();
  decoder.dispose();
  expect(device.counters.liveBytes).toBe(0);
}

describe("steps", () => {
  it("leave nothing behind on wasm, a thousand of them", async () => {
    const device = await createWasmDevice({ relaxed: false });
    await trainAndCompare(device, 1000, () => ({ needed: device.memory().peakBytes }));
    await device.destroy();
  });

  it("leave nothing behind on webgpu, three hundred of them", async ({ skip }) => {
    process.env.XDG_RUNTIME_DIR ??= mkdtempSync(join(tmpdir(), "trimtab-xdg-"));
    const adapter = await gpu.requestAdapter();
    if (!adapter) {
      if (isRequired("webgpu")) throw new Error("REQUIRE_DEVICES: webgpu must be available, got no adapter.");
      return skip("Dawn finds no Vulkan driver");
    }
    const gpuDevice = await adapter.requestDevice();
    const [buffers, groups] = [vi.spyOn(gpuDevice, "createBuffer"), vi.spyOn(gpuDevice, "createBindGroup")];
    const device = await createWebGpuDevice({ gpuDevice });
    await trainAndCompare(device, 300, () => ({ buffers: buffers.mock.calls.length, groups: groups.mock.calls.length }));
    await device.destroy();
    gpuDevice.destroy();
  });
});

/** Dawn must outlive its devices. */
const gpu = create([]);
