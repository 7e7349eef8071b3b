/** Entry of the engine's worker thread: serves models and trainers on the port that it was started with. */
import { workerData } from "node:worker_threads";
import { serveEngine } from "@trimtab/core";
import { createDevice } from "./device";
import type { EngineWorkerData } from "./engine-worker-data";
import { nodeDirectory } from "./files";

const { port, device, threads, relaxed } = workerData as EngineWorkerData;
serveEngine<string>(port, {
  openDevice: () => createDevice(device, { threads, relaxed }),
  openPlace: nodeDirectory,
  clock: () => performance.now(),
});
