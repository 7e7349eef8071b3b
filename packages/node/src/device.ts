/** Devices in Node: WebAssembly on worker threads, WebGPU through Dawn, and the reference device. */
import { availableParallelism } from "node:os";
import { ConfigError, type Device, DeviceError, type DeviceInfo } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { type Gpu, openGpu } from "./gpu";
import { openWasm } from "./wasm";

/** `auto` takes a hardware GPU where there is one, else wasm; never a GPU emulated on the CPU, which `webgpu` does take. */
export type DeviceChoice = "auto" | "webgpu" | "wasm" | "reference";

const CHOICES: readonly DeviceChoice[] = ["auto", "webgpu", "wasm", "reference"];

export interface DeviceOptions {
  /** Threads of the wasm device, the calling one included. Default: one per core. */
  readonly threads?: number | undefined;
  /**
   * Fused multiply-add on the wasm device: faster, but the last bits depend on the processor. Default: where V8 has it. False gives
   * the same bits on every machine.
   */
  readonly relaxed?: boolean | undefined;
}

/** Makes a device. Throws DeviceError where what was asked for is missing; the message says what to install. */
export async function createDevice(choice: DeviceChoice = "auto", options: DeviceOptions = {}): Promise<Device> {
  const { threads = availableParallelism(), relaxed } = options;
  if (!CHOICES.includes(choice))
    throw new ConfigError(`createDevice: the device must be one of ${CHOICES.join(", ")}, got ${JSON.stringify(choice)}.`);
  if (!(Number.isInteger(threads) && threads >= 1))
    throw new ConfigError(`createDevice: threads must be a whole number of at least 1, got ${threads}.`);
  if (choice === "reference") return createReferenceDevice();
  if (choice === "webgpu") return (await openGpu()).device();
  if (choice === "auto") {
    const gpu = await hardwareGpu();
    if (gpu) return gpu.device();
  }
  return openWasm({ threads, relaxed });
}

/** The machine's hardware GPU; undefined where there is none, or no way to reach it. */
async function hardwareGpu(): Promise<Gpu | undefined> {
  try {
    const gpu = await openGpu();
    return gpu.isSoftware ? undefined : gpu;
  } catch (error) {
    if (error instanceof DeviceError) return undefined;
    throw error;
  }
}

/** What `listDevices` says of one kind of device. */
export interface DeviceListing {
  readonly kind: DeviceInfo["kind"];
  readonly name: string;
  /** What `createDevice("auto")` takes here. */
  readonly isAuto: boolean;
  /** Why it cannot be used; undefined where it can. */
  readonly problem: string | undefined;
}

/** What can compute on this machine. */
export async function listDevices(): Promise<DeviceListing[]> {
  const describe = async (choice: "webgpu" | "wasm" | "reference"): Promise<DeviceListing & { readonly software: boolean }> => {
    try {
      const device = await createDevice(choice);
      const { kind, name, software } = device.info;
      await device.destroy();
      return { kind, name, isAuto: false, problem: undefined, software };
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      return { kind: choice, name: choice, isAuto: false, problem: error.message, software: false };
    }
  };
  const listed = [await describe("webgpu"), await describe("wasm"), await describe("reference")];
  const auto = listed.find(({ problem, software, kind }) => problem === undefined && !software && kind !== "reference");
  return listed.map(({ software: _, ...listing }) => ({ ...listing, isAuto: listing.kind === auto?.kind }));
}

/** Runs `use` with a device and gives the device back, whatever happens. */
export async function withDevice<T>(
  options: DeviceOptions & { readonly device: DeviceChoice },
  use: (device: Device) => Promise<T>,
): Promise<T> {
  const device = await createDevice(options.device, options);
  try {
    return await use(device);
  } finally {
    await device.destroy();
  }
}
