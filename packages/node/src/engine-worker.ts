/** Entry of the engine's worker thread: serves models and trainers on the port that it was started with. */
import { workerData } from "node:worker_threads";
import { ConfigError, serveEngine } from "@trimtab/core";
import { createDryDevice } from "@trimtab/kernels/dry";
import { createDevice } from "./device";
import type { EngineWorkerData } from "./engine-worker-data";
import { nodeDirectory } from "./files";
import { baseDirectory, type ModelPlace, modelDirectory } from "./model";

const { port, device, threads, relaxed, tuning } = workerData as EngineWorkerData;
serveEngine<ModelPlace>(port, {
  openDevice: () => createDevice(device, { threads, relaxed, tuning }),
  createDryDevice,
  openPlace(place) {
    if (typeof place === "string") return nodeDirectory(place);
    throw new ConfigError(`engine: the place must be a path, got ${place.hub} on the hub, from which models are loaded only.`);
  },
  async openModel(place, tell) {
    return nodeDirectory(await modelDirectory(place, { onProgress: tell }));
  },
  openBase: (place, base, tell) => baseDirectory(place, base, { onProgress: tell }),
  clock: () => performance.now(),
});
