/** The WebGPU device, and the measurement that fits it to a GPU. */
export { createWebGpuDevice, type Tuner, type WebGpuDevice, type WebGpuOptions } from "./device";
export type { ProductShape } from "./plans/cut";
export { type TimedCut, type TunedClass, type TuneOptions, type Tuning, tuneDevice } from "./tune-device";
