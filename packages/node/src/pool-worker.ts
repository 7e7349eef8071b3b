/** Entry of a worker thread of the wasm device: reports ready, then runs the pool's loop until the device is destroyed. */
import { parentPort, workerData } from "node:worker_threads";
import { type PoolWorkerInit, runPoolWorker } from "@trimtab/kernels/wasm/pool";

// Posted before the loop starts: once inside, this thread has no event loop to post from.
parentPort?.postMessage("ready");
runPoolWorker(workerData as PoolWorkerInit);
