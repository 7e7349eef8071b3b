/** @trimtab/kernels/wasm: the device for machines without a GPU. */
export { createWasmDevice, type WasmDeviceOptions, type WorkerPort } from "./device";
export type { PoolWorkerInit } from "./pool";
