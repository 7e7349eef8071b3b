/** Starting `engine-worker.js`, the one file that all of this package's workers run, and what it is told first. */
import { type DeviceChoice, DeviceError } from "@trimtab/core";
import type { PoolWorkerInit } from "@trimtab/kernels/wasm";

export type WorkerUrl = string | URL;

/** The first message to a worker says what it is. */
export type WorkerRole = PoolRole | EngineRole;

export interface PoolRole {
  readonly role: "pool";
  readonly init: PoolWorkerInit;
}

export interface EngineRole {
  readonly role: "engine";
  /** The application's end is asked on. */
  readonly port: MessagePort;
  /** The worker holds this lock as long as it lives. */
  readonly lock: string;
  /** What relative URLs are relative to: the page's address, not that of the worker's file. */
  readonly baseUrl: string;
  readonly device: DeviceChoice;
  readonly threads: number | undefined;
  readonly relaxed: boolean | undefined;
  readonly tuning: boolean | undefined;
}

export interface StartedWorker {
  readonly worker: Worker;
  /** Resolves, with the reason, when the file does not load or throws. */
  readonly failed: Promise<DeviceError>;
}

/**
 * Starts a worker. Bundlers find its file by the expression below, which they know; it has no imports of its own, because import maps do not reach
 * workers and a strict Content-Security-Policy allows no blobs.
 */
export function startWorker(role: WorkerRole, url?: WorkerUrl, transfer: Transferable[] = []): StartedWorker {
  const worker = url
    ? new Worker(url, { type: "module", name: "trimtab" })
    : new Worker(new URL("./engine-worker.js", import.meta.url), { type: "module", name: "trimtab" });
  const failed = new Promise<DeviceError>((resolve) => {
    const fail = (got: string) =>
      resolve(
        new DeviceError(
          `worker: engine-worker.js must load and run, got ${got}. It lies beside the other files of @trimtab/web: serve it as JavaScript, with the page's COEP header where the page has one, or say where it is (\`workerUrl\`).`,
        ),
      );
    worker.addEventListener("error", ({ message, filename, lineno }) =>
      fail(message ? `${message} (${filename}:${lineno})` : "an error without words"),
    );
    worker.addEventListener("messageerror", () => fail("a message that cannot be read"));
  });
  worker.postMessage(role, transfer);
  return { worker, failed };
}
