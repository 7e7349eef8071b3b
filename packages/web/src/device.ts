/** Devices in a browser: WebGPU, WebAssembly on worker threads, and the reference device. */
import {
  ConfigError,
  DEVICE_CHOICES,
  type Device,
  type DeviceChoice,
  DeviceError,
  type DeviceListing,
  hardwareOf,
  listDevicesOf,
  useDevice,
} from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { storedTuning } from "./files/tuning";
import { type Gpu, openGpu } from "./gpu";
import { openWasm, problemWithThreads } from "./wasm";
import type { WorkerUrl } from "./worker-entry";

export interface DeviceOptions {
  /**
   * Threads of the wasm device, the calling one included. Default: one per core where the page is cross-origin isolated, else one; what keeps it
   * from more is said by {@link deviceNotes}.
   */
  readonly threads?: number | undefined;
  /**
   * Fused multiply-add on the wasm device: faster, but the last bits depend on the processor. Default: where the browser has it. False
   * gives the same bits on every machine.
   */
  readonly relaxed?: boolean | undefined;
  /** Run kernels on a GPU as `tuneGpu` found best there, which changes the last bits of results. Default true, where it was called. */
  readonly tuning?: boolean | undefined;
  /** Where `engine-worker.js` of this package is served, for bundlers that do not find it. */
  readonly workerUrl?: WorkerUrl | undefined;
}

/** Makes a device on the calling thread. Throws DeviceError where what was asked for is missing; the message says what to do. */
export async function createDevice(choice: DeviceChoice = "auto", options: DeviceOptions = {}): Promise<Device> {
  const { threads, relaxed, tuning = true, workerUrl } = options;
  if (!DEVICE_CHOICES.includes(choice))
    throw new ConfigError(`createDevice: the device must be one of ${DEVICE_CHOICES.join(", ")}, got ${JSON.stringify(choice)}.`);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1))
    throw new ConfigError(`createDevice: threads must be a whole number of at least 1, got ${threads}.`);
  if (choice === "reference") return createReferenceDevice();
  if (choice === "webgpu") return deviceOf(await openGpu(), tuning);
  if (choice === "auto") {
    const gpu = await hardwareOf(openGpu);
    if (gpu) return deviceOf(gpu, tuning);
  }
  return openWasm({ threads, relaxed, workerUrl });
}

async function deviceOf(gpu: Gpu, isTuned: boolean): Promise<Device> {
  return gpu.device(isTuned ? await storedTuning() : undefined);
}

/** What keeps `device` from being a faster one, in plain words, each with what to do. Empty where all is well. */
export async function deviceNotes(device: Device): Promise<string[]> {
  const { kind, threads, software, tuning } = device.info;
  const notes: string[] = [];
  if (tuning?.ignored !== undefined) notes.push(`What was measured of the GPU does not count: ${tuning.ignored}`);
  if (kind === "webgpu" && software)
    notes.push("The GPU is emulated on the CPU, which is slower than the wasm device. Use `wasm` or `auto`.");
  if (kind !== "wasm") return notes;
  const missing = await problemWithGpu();
  if (missing !== undefined) notes.push(missing);
  const problem = problemWithThreads();
  if (threads === 1 && problem !== undefined) notes.push(`One thread computes. ${problem}`);
  return notes;
}

/** Why `auto` takes no GPU here; undefined where it does. */
async function problemWithGpu(): Promise<string | undefined> {
  try {
    const { isSoftware } = await openGpu();
    return isSoftware ? "No GPU computes: the one that the browser offers is emulated on the CPU." : undefined;
  } catch (error) {
    if (error instanceof DeviceError) return `No GPU computes. ${error.message}`;
    throw error;
  }
}

/** What can compute in this browser. */
export function listDevices(options: DeviceOptions = {}): Promise<DeviceListing[]> {
  return listDevicesOf((choice) => createDevice(choice, options));
}

/** Runs `use` with a device and gives the device back, whatever happens. */
export function withDevice<T>(options: DeviceOptions & { readonly device: DeviceChoice }, use: (device: Device) => Promise<T>): Promise<T> {
  return useDevice(createDevice(options.device, options), use);
}
