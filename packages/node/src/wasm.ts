/** The wasm device on Node's worker threads. */
import { Worker } from "node:worker_threads";
import { type Device, DeviceError } from "@trimtab/core";
import { createWasmDevice, type PoolWorkerInit, type WorkerPort } from "@trimtab/kernels/wasm";
import { workerEntry } from "./worker-entry";

/** Makes a wasm device with `threads` threads, the calling one included. */
export function openWasm(options: {
  readonly threads: number;
  readonly relaxed: boolean | undefined;
  readonly memoryBytes: number | undefined;
}): Promise<Device> {
  const { threads, relaxed = "auto", memoryBytes } = options;
  return createWasmDevice({ threads, relaxed, spawn, ...(memoryBytes === undefined ? {} : { maxMemoryBytes: memoryBytes }) });
}

/** Starts a pool worker; its first message says that it is ready. */
function spawn(init: PoolWorkerInit): WorkerPort {
  const worker = new Worker(workerEntry("pool-worker"), { workerData: init });
  const ready = new Promise<void>((resolve, reject) => {
    worker.once("message", () => {
      // A device that nobody destroyed must not keep the process alive.
      worker.unref();
      resolve();
    });
    worker.once("error", reject);
    worker.once("exit", (code) =>
      reject(new DeviceError(`wasm pool worker: it must run until the device is destroyed, but it exited with code ${code}.`)),
    );
  });
  return { ready, terminate: async () => void (await worker.terminate()) };
}
