/** The WebGPU device. */
export { createWebGpuDevice, type WebGpuDevice, type WebGpuOptions } from "./device";
