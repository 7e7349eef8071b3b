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
  useDevice,
} from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { openGpu } from "./gpu";
import { openWasm } from "./wasm";

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
  if (!DEVICE_CHOICES.includes(choice))
    throw new ConfigError(`createDevice: the device must be one of ${DEVICE_CHOICES.join(", ")}, got ${JSON.stringify(choice)}.`);
  if (!(Number.isInteger(threads) && threads >= 1))
    throw new ConfigError(`createDevice: threads must be a whole number of at least 1, got ${threads}.`);
  if (choice === "reference") return createReferenceDevice();
  if (choice === "webgpu") return (await openGpu()).device();
  if (choice === "auto") {
    const gpu = await hardwareOf(openGpu);
    if (gpu) return gpu.device();
  }
  return openWasm({ threads, relaxed });
}

/** What can compute on this machine. */
export function listDevices(): Promise<DeviceListing[]> {
  return listDevicesOf((choice) => createDevice(choice));
}

/** Where a command computes, and whether its ops are timed. */
export type DeviceFlags = DeviceOptions & { readonly device: DeviceChoice; readonly profile?: boolean };

/** Runs `use` with a device and gives the device back, whatever happens. */
export function withDevice<T>(options: DeviceFlags, use: (device: Device) => Promise<T>): Promise<T> {
  return useDevice(openDevice(options), use);
}

async function openDevice(options: DeviceFlags): Promise<Device> {
  const device = await createDevice(options.device, options);
  return options.profile ? profiled(device, { now: () => performance.now() }) : device;
}
