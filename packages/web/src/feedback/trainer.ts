/** Trains in the background on the feedback of a session, through the engine. */
import {
  ConfigError,
  canonicalJson,
  type DatasetRow,
  type Engine,
  type EngineAlgorithm,
  type EngineModel,
  type EngineTrainingOptions,
  type Metrics,
} from "@trimtab/core";
import type { FeedbackFormat, FeedbackRowsOptions } from "./rows";
import type { FeedbackSession } from "./session";

/** The algorithms that learn from what people said, and the rows that each reads. */
const formats = {
  dpo: "preference",
  cpo: "preference",
  orpo: "preference",
  reward: "preference",
  kto: "unpaired",
  bco: "unpaired",
  sft: "sft",
} as const satisfies Partial<Record<EngineAlgorithm, FeedbackFormat>>;

export type FeedbackAlgorithm = keyof typeof formats;

export interface FeedbackTrainerOptions<A extends FeedbackAlgorithm, Place> extends FeedbackRowsOptions {
  readonly engine: Pick<Engine<Place>, "train">;
  /** Trained in place, one step at a time: whatever else uses it, the engine lets do so between two steps. */
  readonly model: EngineModel<Place>;
  readonly session: FeedbackSession;
  readonly algorithm: A;
  /** The algorithm's own options, e.g. `learningRate`. */
  readonly options?: Partial<Omit<EngineTrainingOptions<A, EngineModel<Place>, Place>, "model" | "dataset" | "autosave">> | undefined;
  /**
   * Which answers count: all of the session, or those that come from now on, where the model has learned from the others before: in a session and with
   * a model that were restored. Default "all".
   */
  readonly answers?: "all" | "new" | undefined;
  /** A round of training starts when so many rows are there from which none has learned. Default 8. */
  readonly minimumRows?: number | undefined;
}

export interface FeedbackTrainerStatus {
  /** collecting: there are too few new rows. stopped: for good, by `stop` or by the error that `done` rejects with. */
  readonly phase: "collecting" | "training" | "paused" | "stopped";
  /** Rows that no round has learned from. */
  readonly newRows: number;
  /** Rows that a round has learned from or is learning from. */
  readonly learnedRows: number;
  /** Rounds begun. */
  readonly round: number;
  /** Of the round: steps taken, steps in all, metrics of the last. */
  readonly step: number;
  readonly maxSteps: number;
  readonly metrics: Metrics;
}

/** Starts collecting at once. Throws ConfigError for a bad `minimumRows`; the engine refuses bad options when the first round starts. */
export function createFeedbackTrainer<A extends FeedbackAlgorithm, Place>(
  options: FeedbackTrainerOptions<A, Place>,
): FeedbackTrainer<A, Place> {
  return new FeedbackTrainer(options);
}

/**
 * Rounds of training, each over the rows that are new since the last one began: a person's answers are learned from once (`numTrainEpochs` times), and
 * an answer that was undone before its round is not learned from. The reference of a round, where the algorithm has one and `options` name none, is the
 * model as the round found it.
 */
export class FeedbackTrainer<A extends FeedbackAlgorithm, Place> {
  /** Resolves when the trainer has stopped; rejects with what the engine refused or failed at. */
  readonly done: Promise<void>;
  readonly #options: FeedbackTrainerOptions<A, Place>;
  readonly #minimumRows: number;
  readonly #learned = new Set<string>();
  readonly #listeners = new Set<(status: FeedbackTrainerStatus) => void>();
  /** The step in progress, or the last one. */
  #step: Promise<unknown> = Promise.resolve();
  #status: FeedbackTrainerStatus = { phase: "collecting", newRows: 0, learnedRows: 0, round: 0, step: 0, maxSteps: 0, metrics: {} };
  #isPaused = false;
  #isStopped = false;
  #wake: () => void = () => {};

  constructor(options: FeedbackTrainerOptions<A, Place>) {
    this.#options = options;
    this.#minimumRows = options.minimumRows ?? 8;
    if (!Number.isInteger(this.#minimumRows) || this.#minimumRows < 1) {
      throw new ConfigError(`createFeedbackTrainer: minimumRows must be a whole number from 1, got ${this.#minimumRows}. Correct it.`);
    }
    if (options.answers === "new") for (const row of this.#newRows()) this.#learned.add(identity(row));
    this.#status = { ...this.#status, newRows: this.#newRows().length };
    const unsubscribe = options.session.subscribe(() => this.#update({}));
    this.done = this.#run().finally(() => {
      unsubscribe();
      this.#update({ phase: "stopped" });
    });
  }

  get status(): FeedbackTrainerStatus {
    return this.#status;
  }

  /** Calls `listener` with every status that is new, until the returned function is called. */
  subscribe(listener: (status: FeedbackTrainerStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes no more steps until `resume`; resolves when the running one has ended. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    this.#update({});
    await this.#step.catch(() => {});
  }

  resume(): void {
    this.#isPaused = false;
    this.#update({});
  }

  /** Ends training after the running step; the model keeps what it has learned. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake();
    await this.done;
  }

  async #run(): Promise<void> {
    while (await this.#until(() => this.#newRows().length >= this.#minimumRows)) await this.#round();
  }

  async #round(): Promise<void> {
    const { engine, algorithm, model, options } = this.#options;
    const dataset = this.#newRows();
    for (const row of dataset) this.#learned.add(identity(row));
    const training = { ...options, model, dataset } as unknown as EngineTrainingOptions<A, EngineModel<Place>, Place>;
    const run = await engine.train(algorithm, training);
    try {
      this.#update({
        round: this.#status.round + 1,
        learnedRows: this.#status.learnedRows + dataset.length,
        step: 0,
        maxSteps: run.maxSteps,
        metrics: {},
      });
      while (await this.#until(() => true)) {
        this.#update({ phase: "training" });
        const step = run.next();
        this.#step = step;
        const { done, value } = await step;
        if (done) break;
        this.#update({ step: value.step, maxSteps: value.maxSteps, metrics: value.metrics });
      }
    } finally {
      await run.return();
    }
    this.#update({ phase: "collecting" });
  }

  /** Rows of the session that no round has learned from. */
  #newRows(): readonly DatasetRow[] {
    const { session, algorithm, kinds } = this.#options;
    return session.rows(formats[algorithm], { kinds }).filter((row) => !this.#learned.has(identity(row)));
  }

  /** Waits for `isReady` while not paused; false once stopped. */
  async #until(isReady: () => boolean): Promise<boolean> {
    while (!this.#isStopped && (this.#isPaused || !isReady())) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return !this.#isStopped;
  }

  #update(change: Partial<FeedbackTrainerStatus>): void {
    const { phase: before } = this.#status;
    if (before === "stopped") return;
    const { phase = before === "paused" ? "collecting" : before } = change;
    this.#status = {
      ...this.#status,
      ...change,
      phase: this.#isPaused && phase !== "stopped" ? "paused" : phase,
      newRows: this.#newRows().length,
    };
    for (const listener of [...this.#listeners]) listener(this.#status);
    this.#wake();
  }
}

/** What makes a row the same as before: groups are numbered anew every time. */
const identity = ({ group: _, ...row }: DatasetRow): string => canonicalJson(row);
