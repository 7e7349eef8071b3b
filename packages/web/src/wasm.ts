/** The wasm device in a browser: threads where the page is cross-origin isolated, and in plain words why there are none. */
import { type Device, DeviceError } from "@trimtab/core";
import { createWasmDevice, type PoolWorkerInit, type WorkerPort } from "@trimtab/kernels/wasm";
import { startWorker, type WorkerUrl } from "./worker-entry";

/** Most linear memory, largest first: 32-bit browsers and phones cannot reserve four gigabytes of addresses. */
const MEMORY_BYTES = [2 ** 32, 2 ** 31, 2 ** 30, 2 ** 29];

export interface WasmOptions {
  /** Undefined: one per core where threads can be had, else one. */
  readonly threads: number | undefined;
  readonly relaxed: boolean | undefined;
  readonly workerUrl: WorkerUrl | undefined;
}

/** Makes a wasm device. Throws DeviceError where threads were asked for and cannot be had. */
export async function openWasm({ threads, relaxed = undefined, workerUrl }: WasmOptions): Promise<Device> {
  const problem = problemWithThreads();
  if (threads !== undefined && threads > 1 && problem !== undefined) {
    throw new DeviceError(`wasm: ${threads} threads need shared memory, got none. ${problem}`);
  }
  const count = threads ?? (problem === undefined ? navigator.hardwareConcurrency || 1 : 1);
  const options = {
    threads: count,
    relaxed: relaxed ?? ("auto" as const),
    spawn: (init: PoolWorkerInit) => spawn(init, workerUrl),
    // A page's main thread must not sleep; browsers throw where it tries.
    mayWait: !("document" in globalThis),
  };
  for (const maxMemoryBytes of MEMORY_BYTES) {
    try {
      return await createWasmDevice({ ...options, maxMemoryBytes });
    } catch (error) {
      if (!(error instanceof RangeError) || maxMemoryBytes === MEMORY_BYTES.at(-1)) throw error;
    }
  }
  throw new DeviceError("wasm: the browser must give memory, got none. Close other tabs and load the page again.");
}

/** Why this page has one thread only, and what to do; undefined where it may have several. */
export function problemWithThreads(): string | undefined {
  if (typeof Worker === "undefined") return "This browser starts no workers from workers: update it.";
  if (typeof SharedArrayBuffer !== "undefined" && globalThis.crossOriginIsolated) return undefined;
  if (!globalThis.isSecureContext) {
    return "Browsers share memory among threads on secure pages only: serve the page over https or from localhost.";
  }
  return "The page must be cross-origin isolated: serve it, and the worker's file, with the headers `Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`.";
}

/** Starts a pool worker; its first message says that it is ready. */
function spawn(init: PoolWorkerInit, workerUrl: WorkerUrl | undefined): WorkerPort {
  const { worker, failed } = startWorker({ role: "pool", init }, workerUrl);
  const ready = new Promise<void>((resolve, reject) => {
    worker.addEventListener("message", () => resolve(), { once: true });
    void failed.then(reject);
  });
  return { ready, terminate: () => worker.terminate() };
}
