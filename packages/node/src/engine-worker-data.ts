/** What the engine's worker thread is started with. */
import type { MessagePort } from "node:worker_threads";
import type { DeviceChoice } from "@trimtab/core";

export interface EngineWorkerData {
  readonly port: MessagePort;
  readonly device: DeviceChoice;
  readonly threads: number | undefined;
  readonly relaxed: boolean | undefined;
  readonly tuning: boolean | undefined;
}
