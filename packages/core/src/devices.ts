/** What Node's and the browser's `createDevice` have in common: the choices, the list of what computes here, and a device that is given back. */
import { type Device, DeviceError, type DeviceInfo } from "@trimtab/kernels";

/** `auto` takes a hardware GPU where there is one, else wasm; never a GPU emulated on the CPU, which `webgpu` does take. */
export type DeviceChoice = "auto" | "webgpu" | "wasm" | "reference";

export const DEVICE_CHOICES: readonly DeviceChoice[] = ["auto", "webgpu", "wasm", "reference"];

/** What `listDevices` says of one kind of device. */
export interface DeviceListing {
  readonly kind: DeviceInfo["kind"];
  readonly name: string;
  /** What `createDevice("auto")` takes here. */
  readonly isAuto: boolean;
  /** Why it cannot be used; undefined where it can. */
  readonly problem: string | undefined;
  /** Why what was measured of it is not used; undefined where it is, or nothing was. */
  readonly note: string | undefined;
}

/** Makes one device of each kind with `create`, gives it back, and says what it was or why it is missing. */
export async function listDevicesOf(create: (choice: "webgpu" | "wasm" | "reference") => Promise<Device>): Promise<DeviceListing[]> {
  const describe = async (choice: "webgpu" | "wasm" | "reference"): Promise<DeviceListing & { readonly software: boolean }> => {
    try {
      const device = await create(choice);
      const { kind, name, software, tuning } = device.info;
      await device.destroy();
      return { kind, name, isAuto: false, problem: undefined, note: tuning?.ignored, software };
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      return { kind: choice, name: choice, isAuto: false, problem: error.message, note: undefined, software: false };
    }
  };
  const listed = [await describe("webgpu"), await describe("wasm"), await describe("reference")];
  const auto = listed.find(({ problem, software, kind }) => problem === undefined && !software && kind !== "reference");
  return listed.map(({ software: _, ...listing }) => ({ ...listing, isAuto: listing.kind === auto?.kind }));
}

/** A GPU that was found: {@link hardwareOf} takes it where it is not emulated on the CPU. */
export interface FoundGpu {
  readonly isSoftware: boolean;
}

/** The hardware GPU that `open` finds; undefined where there is none, or no way to reach it. */
export async function hardwareOf<Gpu extends FoundGpu>(open: () => Promise<Gpu>): Promise<Gpu | undefined> {
  try {
    const gpu = await open();
    return gpu.isSoftware ? undefined : gpu;
  } catch (error) {
    if (error instanceof DeviceError) return undefined;
    throw error;
  }
}

/** Runs `use` with a device and gives the device back, whatever happens. */
export async function useDevice<T>(opening: Promise<Device>, use: (device: Device) => Promise<T>): Promise<T> {
  const device = await opening;
  try {
    return await use(device);
  } finally {
    await device.destroy();
  }
}
