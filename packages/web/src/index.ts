/** @trimtab/web: everything of @trimtab/core, with the browser's devices, storage and workers. */

export * from "@trimtab/core";
export { randomInt, uniform } from "@trimtab/kernels";
export * from "./create-engine";
export * from "./device";
export * from "./feedback/headless";
export type { DroppedFiles } from "./files/dropped-files";
export * from "./files/place";
export { removeStored } from "./files/storage-directory";
export * from "./files/storage-estimate";
export { clearModelCache } from "./files/url-cache";
export type { UrlPlace } from "./files/url-directory";
export { type HubOptions, loadModel, loadTokenizer, saveModel } from "./model";
export { type TuneGpuOptions, tuneGpu } from "./tune-gpu";
export type { WorkerUrl } from "./worker-entry";
