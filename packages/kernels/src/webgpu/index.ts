/** The WebGPU device, and the measurement that fits it to a GPU. */
export { createWebGpuDevice, type Tuner, type WebGpuDevice, type WebGpuOptions } from "./device";
export type { ProductShape } from "./plans/cut";
export {
  type TimedCut,
  type TimedForm,
  type TunedClass,
  type TunedKernels,
  type TunedProducts,
  type TuneOptions,
  type Tuning,
  tuneDevice,
} from "./tune-device";
