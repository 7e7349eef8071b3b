/** The engine on a thread of this process: models and trainers by handle, while the caller's event loop stays free. */
import { MessageChannel, Worker } from "node:worker_threads";
import { connectEngine, type DeviceChoice, DeviceError, type Engine } from "@trimtab/core";
import type { DeviceOptions } from "./device";
import type { EngineWorkerData } from "./engine-worker-data";
import type { ModelPlace } from "./model";
import { workerEntry } from "./worker-entry";

export interface EngineOptions extends DeviceOptions {
  /** Default "auto". */
  readonly device?: DeviceChoice | undefined;
}

/**
 * Starts an engine. Places are paths of directories; models are loaded by their name on the hub too. Until `close` it keeps the process alive. Throws what `createDevice` throws.
 */
export function createEngine({ device = "auto", threads, relaxed, tuning }: EngineOptions = {}): Promise<Engine<ModelPlace>> {
  const { port1, port2 } = new MessageChannel();
  const workerData: EngineWorkerData = { port: port2, device, threads, relaxed, tuning };
  const worker = new Worker(workerEntry("engine-worker"), { workerData, transferList: [port2] });
  const ended = new Promise<Error>((resolve) => {
    worker.once("error", resolve);
    worker.once("exit", (code) => resolve(new DeviceError(`engine worker: it must run until close(), but it exited with code ${code}.`)));
  });
  return connectEngine<ModelPlace>(port1, {
    ended,
    async terminate() {
      await worker.terminate();
      port1.close();
    },
  });
}
