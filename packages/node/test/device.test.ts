/** Choosing devices: what auto takes, what is refused, and that a device computes and goes away. */
import { ConfigError, type DeviceChoice, DeviceError } from "@trimtab/core";
import { ops } from "@trimtab/kernels";
import { describe, expect, it, vi } from "vitest";
import { createDevice, listDevices, withDevice } from "../src/device";

describe("createDevice", () => {
  it("makes wasm devices with the threads and the build asked for", async () => {
    for (const threads of [1, 2]) {
      const device = await createDevice("wasm", { threads, relaxed: false });
      expect(device.info).toMatchObject({ kind: "wasm", threads, relaxed: false, software: false });
      const y = { buffer: device.alloc(16), byteOffset: 0, shape: [4], dtype: "f32" as const };
      device.dispatch(ops.fill.set, { tensors: { y }, scalars: { value: 3 } });
      expect([...(await device.read(y))]).toEqual([3, 3, 3, 3]);
      await device.destroy();
    }
  });

  it("refuses what is not a device or not a number of threads", async () => {
    await expect(createDevice("cuda" as DeviceChoice)).rejects.toThrow(ConfigError);
    await expect(createDevice("cuda" as DeviceChoice)).rejects.toThrow(/one of auto, webgpu, wasm, reference, got "cuda"/);
    await expect(createDevice("wasm", { threads: 0 })).rejects.toThrow(/threads must be a whole number of at least 1, got 0/);
  });

  it("says what to install where Dawn is missing, and auto then takes wasm", async () => {
    vi.doMock("webgpu", () => {
      throw new Error("Cannot find package 'webgpu'");
    });
    vi.resetModules();
    const { createDevice: create } = await import("../src/device");
    const failure = await create("webgpu").catch((error: unknown) => error);
    expect(String(failure)).toMatch(/npm install webgpu/);
    expect((failure as Error).name).toBe("DeviceError");
    const device = await create("auto");
    expect(device.info.kind).toBe("wasm");
    await device.destroy();
    vi.doUnmock("webgpu");
    vi.resetModules();
  });

  it("never takes a software GPU by itself", async () => {
    const device = await createDevice("auto");
    expect(device.info.software).toBe(false);
    expect(["wasm", "webgpu"]).toContain(device.info.kind);
    await device.destroy();
  });

  it("destroys the device when its user throws", async () => {
    let kept: Awaited<ReturnType<typeof createDevice>> | undefined;
    const failing = withDevice({ device: "wasm", threads: 2 }, async (device) => {
      kept = device;
      throw new DeviceError("stop");
    });
    await expect(failing).rejects.toThrow("stop");
    expect(() => kept?.alloc(4)).toThrow();
  });
});

it("listDevices agrees with createDevice about auto", async () => {
  const auto = await createDevice("auto");
  const listed = await listDevices();
  expect(listed.find(({ isAuto }) => isAuto)?.kind).toBe(auto.info.kind);
  await auto.destroy();
});
