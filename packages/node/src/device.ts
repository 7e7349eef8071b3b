/** Devices in Node: WebAssembly on worker threads, WebGPU through Dawn, and the reference device. */
import { availableParallelism } from "node:os";
import {
  ConfigError,
  DEVICE_CHOICES,
  type Device,
  type DeviceChoice,
  type DeviceListing,
  hardwareOf,
  listDevicesOf,
  profiled,
  readTuning,
  useDevice,
} from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { nodeDirectory } from "./files";
import { type Gpu, openGpu } from "./gpu";
import { tuningDirectory } from "./tuning-directory";
import { openWasm } from "./wasm";

export interface DeviceOptions {
  /** Threads of the wasm device, the calling one included. Default: one per core. */
  readonly threads?: number | undefined;
  /**
   * Fused multiply-add on the wasm device: faster, but the last bits depend on the processor. Default: where V8 has it. False gives
   * the same bits on every machine.
   */
  readonly relaxed?: boolean | undefined;
  /** What the device may hand out, in bytes. Default: 4 GiB on wasm, no limit of ours on a GPU. */
  readonly memoryBytes?: number | undefined;
  /** Run kernels on a GPU as `tuneGpu` found best there, which changes the last bits of results. Default true, where it was called. */
  readonly tuning?: boolean | undefined;
}

/** Makes a device. Throws DeviceError where what was asked for is missing; the message says what to install. */
export async function createDevice(choice: DeviceChoice = "auto", options: DeviceOptions = {}): Promise<Device> {
  const { threads = availableParallelism(), relaxed, memoryBytes, tuning = true } = options;
  if (!DEVICE_CHOICES.includes(choice))
    throw new ConfigError(`createDevice: the device must be one of ${DEVICE_CHOICES.join(", ")}, got ${JSON.stringify(choice)}.`);
  if (!(Number.isInteger(threads) && threads >= 1))
    throw new ConfigError(`createDevice: threads must be a whole number of at least 1, got ${threads}.`);
  if (choice === "reference") return createReferenceDevice();
  if (choice === "webgpu") return deviceOf(await openGpu(), memoryBytes, tuning);
  if (choice === "auto") {
    const gpu = await hardwareOf(openGpu);
    if (gpu) return deviceOf(gpu, memoryBytes, tuning);
  }
  return openWasm({ threads, relaxed, memoryBytes });
}

async function deviceOf(gpu: Gpu, memoryBytes: number | undefined, isTuned: boolean): Promise<Device> {
  const tuning = isTuned ? await readTuning(nodeDirectory(tuningDirectory())) : undefined;
  return gpu.device({ ...(memoryBytes === undefined ? {} : { memoryBytes }), tuning });
}

/** What can compute on this machine. */
export function listDevices(): Promise<DeviceListing[]> {
  return listDevicesOf((choice) => createDevice(choice));
}

/** Where a command computes, with how much memory, and whether its ops are timed. */
export interface DeviceFlags extends Omit<DeviceOptions, "memoryBytes"> {
  readonly device: DeviceChoice;
  readonly memoryBudget?: number | undefined;
  readonly profile?: boolean;
}

/** Runs `use` with a device and gives the device back, whatever happens. */
export function withDevice<T>(options: DeviceFlags, use: (device: Device) => Promise<T>): Promise<T> {
  return useDevice(openDevice(options), use);
}

async function openDevice({ device: choice, memoryBudget: memoryBytes, profile, ...rest }: DeviceFlags): Promise<Device> {
  const device = await createDevice(choice, { ...rest, memoryBytes });
  return profile ? profiled(device, { now: () => performance.now() }) : device;
}
