/** One platform's result, the report of several, and the table in which they stand side by side. */
import type { Device } from "@trimtab/core";
import type { DeviceInfo } from "@trimtab/kernels";
import { type Reading, takeReadings } from "./readings";
import { type Cell, type Section, significant } from "./section";
import { measureMultiplyAdd } from "./wasm-ceilings";

export interface Runtime {
  /** E.g. "Node" or "Chromium". */
  readonly name: string;
  readonly version: string;
}

export interface PlatformResult {
  readonly runtime: Runtime;
  readonly device: DeviceInfo;
  /** What keeps the device from being a faster one, e.g. that the page is not cross-origin isolated. */
  readonly notes: readonly string[];
  /** Multiply-adds with every operand in registers, all threads together: what the GFLOP/s of wasm are a share of. Null for a GPU. */
  readonly ceilingGflops: number | null;
  readonly readings: readonly Reading[];
  readonly seconds: number;
}

/** A platform that could not be measured. */
export interface MissingPlatform {
  readonly name: string;
  /** Why, and what to do. */
  readonly missing: string;
}

export interface PlatformReport {
  readonly schema: "trimtab-platforms/1";
  /** ISO 8601. */
  readonly measuredAt: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly platforms: readonly PlatformResult[];
  readonly missing: readonly MissingPlatform[];
}

/** What is known of the machine; browsers tell little. */
export interface Machine {
  readonly cpu: string | null;
  readonly cores: number;
  readonly memoryGiB: number | null;
  readonly system: string;
}

/** Takes all readings on a device and destroys it. `onReading` is told each as it comes. */
export async function measurePlatform(options: {
  readonly runtime: Runtime;
  readonly device: Device;
  readonly notes?: readonly string[];
  readonly text: string;
  readonly quick: boolean;
  readonly onReading: (reading: Reading) => void;
}): Promise<PlatformResult> {
  const { runtime, device, notes = [], onReading } = options;
  const { info } = device;
  const start = performance.now();
  const ceiling = () => (info.kind === "wasm" ? (measureMultiplyAdd(info.relaxed ? "relaxed" : "strict") ?? 0) * info.threads : null);
  const before = ceiling();
  const readings: Reading[] = [];
  try {
    for await (const reading of takeReadings(options)) {
      readings.push(reading);
      onReading(reading);
    }
  } finally {
    await device.destroy();
  }
  return {
    runtime,
    device: info,
    notes,
    // The machine's clock rises and falls: the better of before and after, so that few readings can exceed it.
    ceilingGflops: before === null ? null : Math.max(before, ceiling() ?? 0),
    readings,
    seconds: (performance.now() - start) / 1000,
  };
}

/** The platform in a few words, e.g. "Chromium wasm strict 2t". */
function labelOf({ runtime, device }: PlatformResult): string {
  const how = device.kind === "wasm" ? ` ${device.relaxed ? "relaxed" : "strict"} ${device.threads}t` : "";
  return `${runtime.name} ${device.kind}${how}`;
}

/** Readings down, platforms across. GFLOP/s on wasm carry their share of the ceiling. */
export function platformTable({ platforms, missing, quick }: PlatformReport): Section {
  const readings = platforms[0]?.readings ?? [];
  return {
    title: `Platforms${quick ? " (quick: small sizes, rough numbers)" : ""}: the best of the rounds, and the share of the multiply-add ceiling`,
    columns: ["what", "unit", ...platforms.map(labelOf)],
    rows: [
      ["multiply-add ceiling", "GFLOP/s", ...platforms.map(({ ceilingGflops }) => ceilingGflops)],
      ...readings.map(({ name, unit }): Cell[] => [name, unit, ...platforms.map((platform) => cellOf(platform, name))]),
    ],
    notes: [
      ...platforms.flatMap((platform) => [
        `${labelOf(platform)}: ${platform.runtime.name} ${platform.runtime.version}, ${platform.device.name}; ${Math.round(platform.seconds)} s`,
        ...platform.notes.map((note) => `${labelOf(platform)}: ${note}`),
        ...platform.readings.filter(({ value }) => value === null).map(({ name, note }) => `${labelOf(platform)}, ${name}: ${note}`),
      ]),
      ...missing.map(({ name, missing }) => `${name}: ${missing}`),
    ],
  };
}

function cellOf({ readings, ceilingGflops }: PlatformResult, name: string): Cell {
  const { value = null, unit } = readings.find((reading) => reading.name === name) ?? {};
  if (value === null || unit !== "GFLOP/s" || ceilingGflops === null) return value;
  return `${significant(value)} (${Math.round((100 * value) / ceilingGflops)} %)`;
}
