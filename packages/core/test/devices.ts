/// <reference types="node" />
/// <reference types="@webgpu/types" />
/** The devices a suite runs on. REQUIRE_DEVICES (comma list) turns an absent one into a failure; else it is a skip with its reason. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BufferLimit, Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { createWebGpuDevice } from "@trimtab/kernels/webgpu";
import { afterAll, describe, it } from "vitest";
import { create } from "webgpu";

/** A device's name in REQUIRE_DEVICES. */
export type DeviceName = "reference" | "wasm" | "wasm-relaxed" | "webgpu";

/** Why this machine does not have a device. */
export interface MissingDevice {
  readonly missing: string;
}

const makers: Readonly<Record<DeviceName, (limit: BufferLimit) => Promise<Device | MissingDevice>>> = {
  reference: async (limit) => createReferenceDevice(limit),
  wasm: (limit) => createWasmDevice({ relaxed: false, ...limit }),
  "wasm-relaxed": async (limit) => {
    const device = await createWasmDevice({ relaxed: "auto", ...limit });
    if (device.info.relaxed) return device;
    await device.destroy();
    return { missing: "this JavaScript engine has no relaxed SIMD (Node 20 needs --experimental-wasm-relaxed-simd)" };
  },
  webgpu: makeWebGpu,
};

export const deviceNames = Object.keys(makers) as DeviceName[];

/** Makes a device, which the caller destroys; `limit`: to do as one with smaller buffers does. */
export function makeDevice(name: DeviceName, limit: BufferLimit = {}): Promise<Device | MissingDevice> {
  return makers[name](limit);
}

/** True when REQUIRE_DEVICES names the device. */
export function isRequired(name: DeviceName): boolean {
  return (process.env.REQUIRE_DEVICES ?? "").split(",").some((entry) => entry.trim() === name);
}

/** Registers `suite` once per device, with a device made for it and destroyed after it; `limit` as for makeDevice. Call it at the top level of a test file. */
export function describeDevices(
  title: string,
  suite: (device: Device, name: DeviceName) => void,
  names: readonly DeviceName[] = deviceNames,
  limit: BufferLimit = {},
): void {
  for (const name of names) {
    describe(`${title} on ${name}`, async () => {
      const device = await makeDevice(name, limit);
      if (!("missing" in device)) {
        afterAll(() => device.destroy());
        suite(device, name);
      } else if (isRequired(name)) {
        it("has its device", () => {
          throw new Error(`REQUIRE_DEVICES: ${name} must be available, got none: ${device.missing}.`);
        });
      } else {
        console.warn(`skipped: ${title} on ${name}: ${device.missing}`);
        it.skip(`${name} is missing: ${device.missing}`, () => {});
      }
    });
  }
}

/** How much looser than the reference device a tolerance may be: f32 devices round every intermediate. */
export const slack = (device: Device): number => (device.info.kind === "reference" ? 1 : 4);

/** Dawn must outlive its devices. */
const instances: GPU[] = [];

async function makeWebGpu(limit: BufferLimit): Promise<Device | MissingDevice> {
  process.env.XDG_RUNTIME_DIR ??= mkdtempSync(join(tmpdir(), "trimtab-xdg-"));
  const gpu = create([]);
  instances.push(gpu);
  const adapter = await gpu.requestAdapter();
  if (!adapter) return { missing: "Dawn finds no Vulkan driver (.ci/install-system-packages installs a software one)" };
  return createWebGpuDevice({ adapter, ...limit });
}
