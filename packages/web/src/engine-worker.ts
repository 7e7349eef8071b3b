/**
 * The file that every worker of this package runs: the engine's, or one of the wasm device's pool, as the first message says. It is built with
 * everything it needs inside.
 */
import { serveEngine } from "@trimtab/core";
import { createDryDevice } from "@trimtab/kernels/dry";
import { runPoolWorker } from "@trimtab/kernels/wasm/pool";
import { createDevice, deviceNotes } from "./device";
import { openBase } from "./files/base";
import { openPlace, type Place } from "./files/place";
import type { EngineRole, PoolRole, WorkerRole } from "./worker-entry";

addEventListener("message", ({ data }: MessageEvent<WorkerRole>) => (data.role === "pool" ? join(data) : serve(data)), { once: true });

function join({ init }: PoolRole): void {
  postMessage("ready");
  // Returns when the device is destroyed; until then this thread reads no messages.
  runPoolWorker(init);
}

function serve({ port, lock, baseUrl, device: choice, threads, relaxed, tuning }: EngineRole): void {
  // Held until this worker ends, however that comes: whoever waits for it then knows.
  void (navigator.locks as LockManager | undefined)?.request(lock, () => {
    postMessage("held");
    return new Promise(() => {});
  });
  let notes: readonly string[] = [];
  serveEngine<Place>(port, {
    async openDevice() {
      // The file of this worker is also that of the pool's.
      const device = await createDevice(choice, { threads, relaxed, tuning, workerUrl: location.href });
      notes = await deviceNotes(device);
      return device;
    },
    createDryDevice,
    openPlace: (place) => openPlace(place, baseUrl),
    openBase,
    notes: () => notes,
    clock: () => performance.now(),
  });
}
