/** The file that every worker of this package runs, as the first message says. It is built with everything it needs inside. */
import { runPoolWorker } from "@trimtab/kernels/wasm/pool";
import type { PoolRole, WorkerRole } from "./worker-entry";

addEventListener("message", ({ data }: MessageEvent<WorkerRole>) => data.role === "pool" && join(data), { once: true });

function join({ init }: PoolRole): void {
  postMessage("ready");
  // Returns when the device is destroyed; until then this thread reads no messages.
  runPoolWorker(init);
}
