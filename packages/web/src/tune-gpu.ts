/** Measuring the GPU of a page, and keeping what was found for every device that is made of it later. */
import { keepTuning } from "@trimtab/core";
import { type TuneOptions, type Tuning, tuneDevice } from "@trimtab/kernels/webgpu";
import { tuningDirectory } from "./files/tuning";
import { openGpu } from "./gpu";

export type TuneGpuOptions = Omit<TuneOptions, "now">;

/**
 * Finds out by measurement how matrix products, reductions and attention run fastest on this GPU, in some seconds, and keeps it in the browser's storage for this site, where
 * `createDevice` and engines look. Throws DeviceError where there is no GPU, or, unless `allowSoftware`, only one that is emulated on the CPU; StorageError
 * where the browser keeps no files. `removeStored("trimtab/tuning")` forgets it.
 */
export async function tuneGpu(options: TuneGpuOptions = {}): Promise<Tuning> {
  const directory = await tuningDirectory();
  const device = await (await openGpu()).device();
  try {
    const tuning = await tuneDevice(device, { ...options, now: () => performance.now() });
    await keepTuning(directory, tuning.table);
    return tuning;
  } finally {
    await device.destroy();
  }
}
