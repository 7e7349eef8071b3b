/** @trimtab/node: everything of @trimtab/core, with this machine's devices, files and worker threads. */

export * from "@trimtab/core";
export { randomInt, uniform } from "@trimtab/kernels";
export { readDataset, writeDataset } from "./datasets";
export * from "./device";
export { createEngine, type EngineOptions } from "./engine";
export { environmentOf } from "./environment";
export { nodeDirectory } from "./files";
export type { HubOptions } from "./hub/hub-snapshot";
export { apiKeyFrom } from "./judges/api-key";
export { fileJudgeCache } from "./judges/file-judge-cache";
export { loadModel, loadTokenizer, type ModelPlace, modelDirectory, saveModel } from "./model";
export { loadRewardModules, type RewardModules, type RewardModulesOptions } from "./rewards/reward-functions";
export { MetricsLog } from "./run/metrics-log";
export { type Progress, type ProgressOptions, startProgress } from "./run/progress";
export { sparkline } from "./run/sparkline";
export { type CodeSandboxOptions, createCodeSandbox } from "./sandbox/code-sandbox";
export { ApiServer, type ApiServerOptions, type RequestRecord } from "./serve/api-server";
export { type KeptTuning, type TuneGpuOptions, tuneGpu } from "./tune-gpu";
