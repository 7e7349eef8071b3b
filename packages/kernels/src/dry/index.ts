/**
 * @trimtab/kernels/dry: devices that allocate, check shapes and count like another one, and neither hold data nor compute. What runs on one takes
 * exactly the memory, by the same rules, that it would take there, in a fraction of the time. Reads give zeros.
 */
import type { Device, DeviceInfo } from "../device";
import { tableOf } from "../tuning";
import { createWebGpuDevice } from "../webgpu/device";
import { tuningKey } from "../webgpu/tuning-key";
import { createDryGpu } from "./gpu";
import { DryWasmDevice } from "./wasm-device";

/**
 * A dry device like the one that `info` describes; where that does not say how much memory there is, this one has no limit. The reference device is
 * planned for as wasm.
 */
export async function createDryDevice(info: DeviceInfo): Promise<Device> {
  if (info.kind !== "webgpu") return new DryWasmDevice(info);
  const { maxBufferBytes, memoryBytes, software, tuning } = info;
  const gpuDevice = createDryGpu(maxBufferBytes);
  return createWebGpuDevice({
    gpuDevice,
    isSoftware: software,
    // Slices take scratch: as many as on the device that is planned for.
    ...(tuning ? { tuning: tableOf(tuningKey(gpuDevice.adapterInfo, software), tuning.choices) } : {}),
    isDry: true,
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  });
}
