/** `npm run bench -- --browser`: every platform of this machine, in Node and in Chromium, one after the other. */
import { arch, availableParallelism, cpus, type as systemName, totalmem } from "node:os";
import { type Device, DeviceError } from "@trimtab/core";
import { createDevice } from "@trimtab/node";
import { measureInChromium } from "./chromium";
import { type MissingPlatform, measurePlatform, type PlatformReport, type PlatformResult } from "./measure/platform";
import { speeches } from "./text";

export interface PlatformsOptions {
  readonly threads: number;
  readonly quick: boolean;
  /** Told what is being done, in a line that the next one replaces. */
  readonly onProgress: (line: string) => void;
}

/** Measures all platforms; one that is not there is reported with the reason. */
export async function measurePlatforms({ threads, quick, onProgress }: PlatformsOptions): Promise<PlatformReport> {
  const platforms: PlatformResult[] = [];
  const missing: MissingPlatform[] = [];
  const runtime = { name: "Node", version: process.versions.node };
  const kinds: readonly (readonly [name: string, open: () => Promise<Device>])[] = [
    ["wasm, strict SIMD", () => createDevice("wasm", { threads, relaxed: false })],
    ["wasm, relaxed SIMD", () => createDevice("wasm", { threads, relaxed: true })],
    ["WebGPU", () => createDevice("webgpu")],
  ];
  for (const [name, open] of kinds) {
    const title = `Node: ${name}`;
    const device = await openOrReason(open);
    if (typeof device === "string") {
      missing.push({ name: title, missing: device });
      continue;
    }
    onProgress(title);
    const onReading = (reading: { name: string }) => onProgress(`${title}: ${reading.name}`);
    platforms.push(await measurePlatform({ runtime, device, text: speeches(), quick, onReading }));
  }
  const chromium = await measureInChromium({ quick, onProgress });
  return {
    schema: "trimtab-platforms/1",
    measuredAt: new Date().toISOString(),
    quick,
    machine: {
      cpu: cpus()[0]?.model.trim() ?? null,
      cores: availableParallelism(),
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      system: `${systemName()} ${arch()}`,
    },
    platforms: [...platforms, ...chromium.platforms],
    missing: [...missing, ...chromium.missing],
  };
}

async function openOrReason(open: () => Promise<Device>): Promise<Device | string> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof DeviceError) return error.message;
    throw error;
  }
}
