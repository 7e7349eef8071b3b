/** A run on the engine's thread, as the application holds it: an iterator that takes a step when it is asked for one. */
import type { AbortSignalLike, EngineAlgorithm } from "./algorithms";
import type { Connection } from "./connection";
import type { EngineRun, EngineStep } from "./engine";
import { reasonOf } from "./outcome";
import type { WireStep } from "./protocol";
import { sampleOf } from "./samples";

export interface ClientRunOptions {
  readonly algorithm: EngineAlgorithm;
  readonly run: number;
  readonly maxSteps: number;
  readonly signal: AbortSignalLike | undefined;
  /** Called once, when the run has ended, however that came. */
  readonly onEnd: () => void;
}

export class ClientRun<Place> implements EngineRun<Place> {
  readonly algorithm: EngineAlgorithm;
  readonly maxSteps: number;
  readonly #connection: Connection;
  readonly #options: ClientRunOptions;
  #isOver = false;

  constructor(connection: Connection, options: ClientRunOptions) {
    this.algorithm = options.algorithm;
    this.maxSteps = options.maxSteps;
    this.#connection = connection;
    this.#options = options;
  }

  async next(): Promise<IteratorResult<EngineStep, undefined>> {
    if (this.#isOver) return { done: true, value: undefined };
    const { run, signal } = this.#options;
    try {
      const step = await this.#connection.ask("step", run);
      if (step) return { done: false, value: stepOf(step) };
    } catch (error) {
      this.#end();
      throw signal?.aborted ? signal.reason : error;
    }
    this.#end();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<EngineStep, undefined>> {
    if (!this.#isOver) {
      this.#isOver = true;
      try {
        await this.#connection.ask("endRun", this.#options.run);
      } finally {
        // Not before: a step that was asked for may still call a reward.
        this.#options.onEnd();
      }
    }
    return { done: true, value: undefined };
  }

  async save(to: Place): Promise<void> {
    await this.#connection.ask("saveRun", this.#options.run, to);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.onEnd();
  }
}

function stepOf({ step, maxSteps, metrics, samples, autosaveError }: WireStep): EngineStep {
  return {
    step,
    maxSteps,
    metrics,
    samples: samples.map(sampleOf),
    autosaveError: autosaveError && (reasonOf(autosaveError) as Error),
  };
}
