/** Questions to the engine's thread, all of which are answered or rejected: also when the thread or its device is no more. */
import { DeviceError } from "@trimtab/kernels";
import { proxy, wrap } from "comlink";
import type { AbortSignalLike } from "./algorithms";
import { Functions } from "./functions";
import { failure, type Outcome, outcomeOf, reasonOf, resultOf } from "./outcome";
import type { Answering, EngineCaller, EngineEndpoint, EngineService } from "./protocol";

/** The thread that an engine runs on. */
export interface EngineThread {
  /** Resolves, with the reason, when it ends by itself: it crashed, failed to start, or was killed. */
  readonly ended: Promise<unknown>;
  /** Ends it, at once or as a promise. May be called again. */
  terminate(): unknown;
}

type Asked<K extends keyof EngineService> = Awaited<ReturnType<EngineService[K]>>;

export class Connection {
  readonly functions = new Functions();
  /** Resolves when the engine is lost; not when it is closed. */
  readonly lost: Promise<Error>;
  /** Where functions come from that the engine calls. */
  readonly caller: Answering<EngineCaller>;
  readonly #remote: Answering<EngineService>;
  readonly #thread: EngineThread;
  readonly #waiting = new Set<(reason: Error) => void>();
  #over: DeviceError | undefined;
  #jobs = 0;

  constructor(endpoint: EngineEndpoint, thread: EngineThread) {
    this.#remote = wrap(endpoint as never) as unknown as Answering<EngineService>;
    this.#thread = thread;
    let lose: (reason: Error) => void = () => {};
    this.lost = new Promise((resolve) => {
      lose = resolve;
    });
    const losing = (cause: unknown) => {
      if (this.#over) return;
      const got = cause instanceof Error ? cause.message : String(cause);
      this.#end(new DeviceError(`engine: its thread and its device must live, got: ${got} Create another one and resume.`, { cause }));
      lose(this.#over as unknown as Error);
      void this.#thread.terminate();
    };
    void thread.ended.then(losing, losing);
    const { functions } = this;
    this.caller = proxy({
      call: (fn: number, call: number, argument: unknown) => functions.call(fn, call, argument),
      giveUp: (call: number) => outcomeOf(() => functions.giveUp(call)),
      tell: (fn: number, ...news: readonly unknown[]) => outcomeOf(() => functions.tell(fn, ...news)),
      lost: (reason: Outcome<never>) => outcomeOf(() => losing(reasonOf(reason))),
    }) as Answering<EngineCaller>;
  }

  /** A number for something that may be given up. */
  newJob(): number {
    return ++this.#jobs;
  }

  /** Calls a method of the service. Rejects with what it throws, or with DeviceError once the engine is no more. */
  ask<K extends keyof EngineService>(method: K, ...args: Parameters<EngineService[K]>): Promise<Asked<K>> {
    return new Promise((resolve, reject) => {
      if (this.#over) {
        reject(this.#over);
        return;
      }
      this.#waiting.add(reject);
      const call = this.#remote[method] as (...args: readonly unknown[]) => Promise<Outcome<Asked<K>>>;
      call(...args)
        .then((outcome) => resolve(resultOf(outcome)))
        .catch(reject)
        .finally(() => this.#waiting.delete(reject));
    });
  }

  /** {@link ask} for something that `signal` gives up: rejects with the signal's reason then. */
  async askUntil<T>(signal: AbortSignalLike | undefined, job: number, ask: () => Promise<T>): Promise<T> {
    const stop = this.abortWith(signal, job);
    try {
      if (signal?.aborted) throw signal.reason;
      return await ask();
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    } finally {
      stop();
    }
  }

  /** Gives a job up when `signal` aborts, until the function that it returns is called. */
  abortWith(signal: AbortSignalLike | undefined, job: number): () => void {
    const onAbort = () => this.giveUp(job, signal?.reason);
    signal?.addEventListener("abort", onAbort);
    return () => signal?.removeEventListener("abort", onAbort);
  }

  giveUp(job: number, reason: unknown): void {
    if (!this.#over) void this.#remote.abort(job, failure(reason));
  }

  /** Asks with a listener, which hears everything before the answer; what it throws gives `job` up and is thrown. */
  async askWhileTelling<T>(
    listener: ((...news: never[]) => void) | undefined,
    job: number,
    ask: (listener: number | undefined) => Promise<T>,
  ): Promise<T> {
    if (!listener) return ask(undefined);
    let failed: { readonly thrown: unknown } | undefined;
    const id = this.functions.listen((...news) => {
      if (failed) return;
      try {
        listener(...news);
      } catch (thrown) {
        failed = { thrown };
        this.giveUp(job, thrown);
      }
    });
    try {
      const answer = await ask(id);
      if (!failed) return answer;
    } catch (error) {
      if (!failed) throw error;
    } finally {
      this.functions.remove(id);
    }
    throw failed.thrown;
  }

  /** Closes the thread; nothing can be asked any more. */
  async close(): Promise<void> {
    try {
      if (!this.#over) await this.ask("close");
    } finally {
      this.#end(new DeviceError("engine: it must be open, got one that was closed. Create another one."));
      await this.#thread.terminate();
    }
  }

  #end(reason: DeviceError): void {
    if (this.#over) return;
    this.#over = reason;
    for (const reject of this.#waiting) reject(reason);
    this.#waiting.clear();
  }
}
