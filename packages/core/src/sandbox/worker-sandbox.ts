/** A sandbox in workers that are ended when a program cannot be interrupted: the portable half, given a way to start workers. */
import { RewardError } from "../errors";
import { type SignalLike, withDeadline } from "../rl/abort";
import { mapConcurrently } from "../rl/concurrently";
import { type QuickJsLoader, QuickJsRunner } from "./quickjs-sandbox";
import {
  type CodeSandbox,
  failed,
  type ResolvedLimits,
  resolveLimits,
  type SandboxLimits,
  type SandboxProgram,
  type TestOutcome,
} from "./sandbox";

/** To a worker: first the limits, then one program at a time. */
export type SandboxRequest =
  | { readonly type: "start"; readonly limits: ResolvedLimits }
  | { readonly type: "run"; readonly program: SandboxProgram };

/** From a worker: once when it can take programs, then each test's outcome as soon as it is known. */
export type SandboxReply =
  | { readonly type: "ready" }
  | { readonly type: "broken"; readonly message: string }
  | { readonly type: "outcome"; readonly outcome: TestOutcome };

/** A worker as `workerSandbox` uses it: Node's and the web's differ in how they name these. */
export interface SandboxWorker {
  post(request: SandboxRequest): void;
  /** `onReply` for every message; `onEnd` where the worker ends or fails. */
  listen(onReply: (reply: SandboxReply) => void, onEnd: (error: Error) => void): void;
  terminate(): unknown;
}

export interface WorkerSandboxOptions extends SandboxLimits {
  /** Starts a worker that calls {@link serveSandbox}. */
  readonly spawn: () => SandboxWorker;
  /** Programs at a time. Default 1. */
  readonly workers?: number | undefined;
  /** How long after `timeoutMs` a program that did not stop is ended with its worker. Default 500. */
  readonly graceMs?: number | undefined;
  /** Longest that a worker may take to start. Default 30000. */
  readonly startTimeoutMs?: number | undefined;
}

/** A sandbox whose programs run in workers, each ended with its worker where it does not stop by itself. Workers start when needed. */
export function workerSandbox(options: WorkerSandboxOptions): CodeSandbox {
  const { spawn, workers = 1, graceMs = 500, startTimeoutMs = 30_000 } = options;
  const limits = resolveLimits(options);
  const idle: Lane[] = [];
  const all = new Set<Lane>();

  const withLane = async (program: SandboxProgram, signal: SignalLike | undefined): Promise<readonly TestOutcome[]> => {
    const lane = idle.pop() ?? new Lane(spawn());
    all.add(lane);
    try {
      await lane.start(limits, startTimeoutMs, signal);
      return await lane.run(program, limits.timeoutMs + graceMs, signal);
    } catch (error) {
      lane.end();
      throw error;
    } finally {
      if (lane.hasEnded) all.delete(lane);
      else idle.push(lane);
    }
  };

  return {
    run: (programs, { signal } = {}) => mapConcurrently(programs, workers, (program) => withLane(program, signal)),
    async close() {
      await Promise.all([...all].map((lane) => lane.end()));
    },
  };
}

/** The other half, in the worker: answers requests with a QuickJS of its own. `post` sends to the one who started it. */
export function serveSandbox(load: QuickJsLoader, post: (reply: SandboxReply) => void): (request: SandboxRequest) => Promise<void> {
  let runner: QuickJsRunner | undefined;
  return async (request) => {
    try {
      if (request.type === "start") {
        runner = new QuickJsRunner(load, request.limits);
        await runner.prepare();
        post({ type: "ready" });
      } else await runner?.run(request.program, (outcome) => post({ type: "outcome", outcome }));
    } catch (error) {
      post({ type: "broken", message: String(error) });
    }
  };
}

/** A worker and the program it has. */
class Lane {
  readonly #worker: SandboxWorker;
  #ready: Promise<void> | undefined;
  #onReply: (reply: SandboxReply) => void = () => {};
  #onEnd: (error: Error) => void = () => {};
  hasEnded = false;

  constructor(worker: SandboxWorker) {
    this.#worker = worker;
    worker.listen(
      (reply) => this.#onReply(reply),
      (error) => {
        this.hasEnded = true;
        this.#onEnd(error);
      },
    );
  }

  /** Waits until the worker is ready for programs. */
  start(limits: ResolvedLimits, timeoutMs: number, outer: SignalLike | undefined): Promise<void> {
    this.#ready ??= withDeadline(
      () =>
        new Promise<void>((resolve, reject) => {
          this.#onReply = (reply) =>
            reply.type === "ready" ? resolve() : reject(broken(reply.type === "broken" ? reply.message : reply.type));
          this.#onEnd = (error) => reject(broken(error.message));
          this.#worker.post({ type: "start", limits });
        }),
      { timeoutMs, onTimeout: () => broken(`nothing for ${timeoutMs} ms`), outer },
    );
    return this.#ready;
  }

  /** The outcomes of a program's tests. Where it does not end within `timeoutMs`, the worker is ended and the tests that are left fail. */
  async run(program: SandboxProgram, timeoutMs: number, outer: SignalLike | undefined): Promise<readonly TestOutcome[]> {
    const outcomes: TestOutcome[] = [];
    if (program.tests.length === 0) return outcomes;
    const fatal = new Map<Error, TestOutcome>();
    const death = (outcome: TestOutcome) => {
      const error = new Error(outcome.message);
      fatal.set(error, outcome);
      return error;
    };
    try {
      await withDeadline(
        () =>
          new Promise<void>((resolve, reject) => {
            this.#onReply = (reply) => {
              if (reply.type !== "outcome") reject(broken(reply.type === "broken" ? reply.message : reply.type));
              else if (outcomes.push(reply.outcome) === program.tests.length) resolve();
            };
            this.#onEnd = (error) => reject(death(failed("error", `the program ended its worker: ${error.message}`)));
            this.#worker.post({ type: "run", program });
          }),
        { timeoutMs, onTimeout: () => death(failed("timeout", `the program did not stop within ${timeoutMs} ms and was ended`)), outer },
      );
    } catch (error) {
      const outcome = fatal.get(error as Error);
      if (outcome === undefined) throw error;
      this.end();
      return [...outcomes, ...program.tests.slice(outcomes.length).map(() => outcome)];
    }
    return outcomes;
  }

  end(): unknown {
    this.hasEnded = true;
    return this.#worker.terminate();
  }
}

const broken = (got: string) =>
  new RewardError(`sandbox: its worker must start and answer, got ${got}. Check that the worker's file and QuickJS can be loaded.`);
