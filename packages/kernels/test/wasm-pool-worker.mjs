/** A pool worker of the tests: the built loop of @trimtab/kernels/wasm/pool on a node thread. */
import { parentPort, workerData } from "node:worker_threads";
import { runPoolWorker } from "../dist/wasm/pool.js";

parentPort.postMessage("ready");
runPoolWorker(workerData);
