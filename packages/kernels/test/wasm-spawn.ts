/** Starts pool workers for the tests of the wasm device. */
import { Worker } from "node:worker_threads";
import type { PoolWorkerInit, WorkerPort } from "../src/wasm/index";

export function spawn(init: PoolWorkerInit): WorkerPort {
  const worker = new Worker(new URL("./wasm-pool-worker.mjs", import.meta.url), { workerData: init });
  const ready = new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
  });
  worker.unref();
  return { ready, terminate: () => worker.terminate().then(() => {}) };
}
