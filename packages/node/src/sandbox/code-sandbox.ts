/** A sandbox for code that a model wrote, on Node's worker threads. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { type CodeSandbox, type SandboxReply, type SandboxWorker, type WorkerSandboxOptions, workerSandbox } from "@trimtab/core";
import { workerEntry } from "../worker-entry";

/** Workers default to the machine's cores less one, from 1 to 4. */
export type CodeSandboxOptions = Omit<WorkerSandboxOptions, "spawn">;

/** QuickJS in worker threads without access to this process's memory, files or network; close it when done. */
export function createCodeSandbox(options: CodeSandboxOptions = {}): CodeSandbox {
  const workers = options.workers ?? Math.max(1, Math.min(4, availableParallelism() - 1));
  return workerSandbox({ ...options, workers, spawn });
}

function spawn(): SandboxWorker {
  const worker = new Worker(workerEntry("sandbox-worker"), { env: {}, resourceLimits: { maxOldGenerationSizeMb: 256 } });
  // An idle sandbox must not keep the process alive; a running program has a timer that does.
  worker.unref();
  return {
    post: (request) => worker.postMessage(request),
    listen(onReply, onEnd) {
      worker.on("message", (reply: SandboxReply) => onReply(reply));
      worker.on("error", onEnd);
      worker.on("exit", (code) => onEnd(new Error(`it exited with code ${code}`)));
    },
    terminate: () => worker.terminate(),
  };
}
