/** The engine on a worker of its own, so that the page never blocks. */
import { connectEngine, type DeviceChoice, DeviceError, type Engine } from "@trimtab/core";
import type { DeviceOptions } from "./device";
import { type Place, pageUrl } from "./files/place";
import { startWorker } from "./worker-entry";

export interface EngineOptions extends DeviceOptions {
  /** Default `auto`: a hardware GPU where there is one, else wasm. */
  readonly device?: DeviceChoice | undefined;
}

/**
 * Starts the engine. Throws DeviceError where the device that was asked for is missing, or where the worker's file does not load.
 *
 * Where the worker ends by itself, of a crash or for want of memory, `engine.lost` says so; what was saved before is in storage.
 */
export async function createEngine(options: EngineOptions = {}): Promise<Engine<Place>> {
  const { device = "auto", threads, relaxed, tuning, workerUrl } = options;
  const { port1, port2 } = new MessageChannel();
  const lock = `trimtab-engine:${crypto.randomUUID?.() ?? Math.random()}`;
  const role = { role: "engine", port: port2, lock, baseUrl: pageUrl(), device, threads, relaxed, tuning } as const;
  const { worker, failed } = startWorker(role, workerUrl, [port2]);
  const terminate = () => {
    worker.terminate();
    port1.close();
  };
  return connectEngine<Place>(port1, { ended: Promise.race([failed, lockFreed(worker, lock)]), terminate });
}

/** Resolves when the worker, which says when it holds the lock, holds it no more. */
function lockFreed(worker: Worker, lock: string): Promise<DeviceError> {
  return new Promise((resolve) => {
    worker.addEventListener(
      "message",
      async () => {
        await navigator.locks.request(lock, () => {});
        resolve(new DeviceError("worker: the engine's must run until the engine is closed, got its end: the browser stopped it."));
      },
      { once: true },
    );
  });
}
