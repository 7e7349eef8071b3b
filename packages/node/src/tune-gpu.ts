/** Measuring this machine's GPU, and keeping what was found for every device that is made of it later. */
import { keepTuning } from "@trimtab/core";
import type { TuneOptions, Tuning } from "@trimtab/kernels/webgpu";
import { nodeDirectory } from "./files";
import { openGpu } from "./gpu";
import { tuningDirectory } from "./tuning-directory";

export type TuneGpuOptions = Omit<TuneOptions, "now">;

export interface KeptTuning extends Tuning {
  /** `device.info.name`. */
  readonly device: string;
  /** The directory of `tuning.json`. */
  readonly directory: string;
}

/**
 * Finds out by measurement how matrix products, reductions and attention run fastest on this machine's GPU, in some seconds, and keeps it in the user's cache, where `createDevice`
 * looks. Throws DeviceError where there is no GPU, or, unless `allowSoftware`, only one that is emulated on the CPU.
 */
export async function tuneGpu(options: TuneGpuOptions = {}): Promise<KeptTuning> {
  const directory = tuningDirectory();
  const device = await (await openGpu()).device({});
  try {
    const { tuneDevice } = await import("@trimtab/kernels/webgpu");
    const tuning = await tuneDevice(device, { ...options, now: () => performance.now() });
    await keepTuning(nodeDirectory(directory), tuning.table);
    return { ...tuning, device: device.info.name, directory };
  } finally {
    await device.destroy();
  }
}
