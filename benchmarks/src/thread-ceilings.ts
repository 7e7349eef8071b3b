/** The ceilings of several threads at work at once, which share caches, memory and the clock's budget: what one thread alone cannot tell. */
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { CeilingRequest } from "./ceiling-worker";
import type { Ceilings } from "./measure/ceilings";
import { type Build, ceilingsOf, measureThread } from "./measure/wasm-ceilings";

/** Ceilings of all threads together, each probe run by all of them at the same time; undefined where this engine refuses the build. */
export async function measureThreads(build: Build, threads: number, rounds = 8): Promise<Ceilings | undefined> {
  if (threads === 1) return measureThread(build, { rounds });
  // One word to count who is ready for a probe.
  const barrier = new SharedArrayBuffer(4);
  const workerData: CeilingRequest = { build, threads, rounds, barrier };
  const all = await Promise.all(
    Array.from({ length: threads }, () => {
      const worker = new Worker(fileURLToPath(new URL("./ceiling-worker.js", import.meta.url)), { workerData });
      return new Promise<readonly (readonly number[])[] | undefined>((resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
      });
    }),
  );
  const [first] = all;
  if (!first || all.some((rates) => rates === undefined)) return undefined;
  // The best round of each probe, in which all threads worked side by side.
  const together = first.map((ofRounds, probe) =>
    Math.max(...ofRounds.map((_, round) => all.reduce((sum, rates) => sum + (rates?.[probe]?.[round] ?? 0), 0))),
  );
  const { gflops, streams } = ceilingsOf(together);
  return { gflops, streams: streams.map(({ bytes, gigabytesPerSecond }) => ({ bytes: bytes * threads, gigabytesPerSecond })) };
}
