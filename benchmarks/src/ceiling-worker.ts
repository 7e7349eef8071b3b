/** One of several threads that measure the ceilings together: all wait for one another before every probe. */
import { parentPort, workerData } from "node:worker_threads";
import { type Build, makeProbes, rateOf } from "./measure/wasm-ceilings";

export interface CeilingRequest {
  readonly build: Build;
  readonly threads: number;
  readonly rounds: number;
  /** One word, 0. */
  readonly barrier: SharedArrayBuffer;
}

/** Long enough that the threads' starts, some microseconds apart, do not count. */
const WINDOW_MS = 20;

const { build, threads, rounds, barrier } = workerData as CeilingRequest;
const arrived = new Int32Array(barrier);
let turn = 0;

/** Returns when every thread has called it as often as this one. */
function meet(): void {
  turn += 1;
  Atomics.add(arrived, 0, 1);
  while (Atomics.load(arrived, 0) < turn * threads);
}

const probes = makeProbes(build);
const rates = probes?.map((probe) =>
  Array.from({ length: rounds }, () => {
    meet();
    return rateOf(probe, WINDOW_MS);
  }),
);
// Nobody may go on to something else while another thread still measures.
meet();
parentPort?.postMessage(rates);
