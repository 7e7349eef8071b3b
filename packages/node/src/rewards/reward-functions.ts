/**
 * Reward functions from a user's modules, run in a worker thread that can be terminated: a synchronous endless loop cannot be
 * timed out in its own thread.
 */
import { Worker } from "node:worker_threads";
import { RewardError, type RewardFunction } from "@trimtab/core";
import { workerEntry } from "../worker-entry";
import type { RewardReply, RewardRequest, RewardWorkerData } from "./protocol";

export interface RewardModulesOptions {
  /** Longest time one call may take, and the loading of the modules. Default 60000. */
  readonly timeoutMs?: number;
  /** Told once when the functions can no longer be called, e.g. to stop a run whose trainer skips failing rewards. */
  readonly onEnded?: (error: RewardError) => void;
}

/** Loaded functions, in the order of the modules, and the thread they run on. */
export interface RewardModules {
  readonly functions: readonly RewardFunction[];
  close(): Promise<void>;
}

interface Pending {
  readonly name: string;
  readonly resolve: (reply: Extract<RewardReply, { type: "result" }>) => void;
  readonly reject: (error: RewardError) => void;
}

/**
 * Loads `path` or `path#export` for each module. Throws RewardError when one cannot be loaded. A call that outlives `timeoutMs`
 * terminates the worker and rejects, and so does every later call.
 */
export async function loadRewardModules(modules: readonly string[], options: RewardModulesOptions = {}): Promise<RewardModules> {
  const timeoutMs = options.timeoutMs ?? 60_000;
  const worker = new Worker(workerEntry("reward-worker"), { workerData: { modules } satisfies RewardWorkerData });
  const pending = new Map<number, Pending>();
  let ended: RewardError | undefined;
  let nextId = 0;

  const end = (error: RewardError) => {
    if (!ended) {
      ended = error;
      options.onEnded?.(error);
    }
    for (const call of pending.values()) call.reject(ended);
    pending.clear();
    return worker.terminate();
  };

  const names = await new Promise<readonly string[]>((resolve, reject) => {
    const fail = (error: RewardError) => {
      clearTimeout(timer);
      reject(error);
      void end(error);
    };
    const timer = setTimeout(
      () =>
        fail(
          new RewardError(
            `reward modules ${modules.join(", ")}: loading must end within ${timeoutMs / 1000} s. Remove work from the top level.`,
          ),
        ),
      timeoutMs,
    );
    worker.on("message", (reply: RewardReply) => {
      if (reply.type === "ready") {
        clearTimeout(timer);
        resolve(reply.names);
      } else if (reply.type === "failed") {
        fail(new RewardError(`reward modules: every module must load, got ${reply.message}. Correct the module or its path.`));
      } else {
        const call = pending.get(reply.id);
        pending.delete(reply.id);
        if (reply.type === "result") call?.resolve(reply);
        else
          call?.reject(
            new RewardError(`reward \`${call.name}\`: it must not throw, got ${reply.message}. Return null where it does not apply.`),
          );
      }
    });
    worker.on("error", (error) => fail(new RewardError(`reward worker: it must not crash, got ${String(error)}.`, { cause: error })));
    worker.on("exit", (code) => fail(new RewardError(`reward worker: it must run until training ends, but it exited with code ${code}.`)));
  });
  worker.unref();

  const call = (name: string, index: number): RewardFunction => {
    const run: RewardFunction = async ({ signal, logExtra, logMetric, ...args }) => {
      if (ended) throw ended;
      const id = nextId++;
      const reply = new Promise<Extract<RewardReply, { type: "result" }>>((resolve, reject) => pending.set(id, { name, resolve, reject }));
      const timer = setTimeout(
        () =>
          void end(
            new RewardError(
              `reward \`${name}\`: it must answer within ${timeoutMs / 1000} s, got no answer; its worker was terminated. Look for an endless loop, or allow more time.`,
            ),
          ),
        timeoutMs,
      );
      const abort = () => worker.postMessage({ type: "abort", id } satisfies RewardRequest);
      signal?.addEventListener("abort", abort, { once: true });
      try {
        worker.postMessage({ type: "call", id, index, args } satisfies RewardRequest);
        const { values, extras, metrics } = await reply;
        for (const [column, columnValues] of extras) logExtra?.(column, columnValues as unknown[]);
        for (const [metric, value] of metrics) logMetric?.(metric, value);
        return values as (number | null)[];
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      }
    };
    return Object.defineProperty(run, "name", { value: name });
  };

  return {
    functions: names.map(call),
    async close() {
      ended ??= new RewardError("reward worker: it must not be called after close().");
      worker.removeAllListeners("exit");
      await worker.terminate();
    },
  };
}
