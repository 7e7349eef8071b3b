/// <reference types="node" />
/** The devices a suite runs on. REQUIRE_DEVICES (comma list) turns an absent one into a failure; else it is a skip with its reason. */
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterAll, describe, it } from "vitest";

/** A device's name in REQUIRE_DEVICES. */
export type DeviceName = "reference" | "wasm" | "wasm-relaxed" | "webgpu";

/** Why this machine does not have a device. */
export interface MissingDevice {
  readonly missing: string;
}

const makers: Readonly<Record<DeviceName, () => Promise<Device | MissingDevice>>> = {
  reference: async () => createReferenceDevice(),
  wasm: async () => ({ missing: "not built" }),
  "wasm-relaxed": async () => ({ missing: "not built" }),
  webgpu: async () => ({ missing: "not built" }),
};

export const deviceNames = Object.keys(makers) as DeviceName[];

/** Registers `suite` once per device, with a device made for it and destroyed after it. Call it at the top level of a test file. */
export function describeDevices(
  title: string,
  suite: (device: Device, name: DeviceName) => void,
  names: readonly DeviceName[] = deviceNames,
): void {
  const required = (process.env.REQUIRE_DEVICES ?? "").split(",").map((name) => name.trim());
  for (const name of names) {
    describe(`${title} on ${name}`, async () => {
      const device = await makers[name]();
      if (!("missing" in device)) {
        afterAll(() => device.destroy());
        suite(device, name);
      } else if (required.includes(name)) {
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
