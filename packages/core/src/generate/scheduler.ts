/**
 * Continuous batching: requests come while others are being decoded, join the batch as soon as rows and cache blocks are free, and leave it when
 * they end. Prompts that begin alike share the cache of what they have in common.
 */
import { Tape } from "../autograd/tape";
import { BusyError, ConfigError } from "../errors";
import type { SignalLike } from "../rl/abort";
import { turnOfTheLoop } from "../turn-of-the-loop";
import { Batch, type BatchStep } from "./batch";
import { DeltaQueue } from "./delta-queue";
import type { CompletionDelta } from "./generate";
import { mostBlocks, planGroups } from "./groups";
import type { BatchOptions, RequestOptions } from "./options";
import type { Row } from "./row";
import { type BatchSettings, resolveOptions } from "./settings";

export interface SchedulerOptions extends BatchOptions {
  /**
   * Most completions decoded at once; the rest wait. Default 32. On the wasm device at most 32 are: with more, another kernel would compute them, and
   * the last bits of a completion would depend on how many others there are.
   */
  readonly maxRows?: number | undefined;
  /** Most completions that may wait for room. Default: any number. */
  readonly maxWaiting?: number | undefined;
  /** Positions decoded between two readbacks: more is faster on a GPU, but text comes in bursts. Default 1. */
  readonly stepsPerRead?: number | undefined;
  /** Prompt tokens computed in one pass, during which the others wait, unless a single prompt is longer. Default 512. */
  readonly prefillTokens?: number | undefined;
  /** Keep the cache of prompts for later ones that begin alike. Default true. */
  readonly sharePrefixes?: boolean | undefined;
}

export interface ScheduledRequest extends RequestOptions {
  /** Takes the request out when it aborts; the stream then throws its reason. */
  readonly signal?: SignalLike | undefined;
}

/** Running totals of a scheduler. */
export interface SchedulerStats {
  readonly running: number;
  readonly waiting: number;
  /** Prompt tokens computed, and those that the cache held already. */
  readonly prefillTokens: number;
  readonly cachedTokens: number;
  readonly newTokens: number;
  /** Most completions decoded at once. */
  readonly peakRows: number;
  readonly cacheBytes: number;
}

/** One request in the scheduler. */
interface Job {
  readonly rows: ReadonlySet<Row>;
  readonly queue: DeltaQueue;
}

/**
 * Owns a cache and decodes for whoever asks, until closed. The weights must not change meanwhile: the cache of earlier prompts would be of other
 * weights. On the reference device and on strict wasm, what a request gets does not depend, in a single bit, on the requests beside it.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #settings: BatchSettings;
  readonly #session: Tape;
  readonly #batch: Batch;
  readonly #maxWaiting: number;
  readonly #jobs = new Map<Row, Job>();
  /** Taken out before the next step. */
  readonly #leaving = new Set<Row>();
  readonly #totals = { prefillTokens: 0, cachedTokens: 0, newTokens: 0, peakRows: 0 };
  #pump: Promise<void> | undefined;
  #end: Error | undefined;

  /** Allocates the cache. Throws ConfigError for bad options and OutOfMemoryError where the cache cannot be had. */
  constructor(options: SchedulerOptions) {
    const { maxRows = 32, maxWaiting = Number.POSITIVE_INFINITY, stepsPerRead = 1, prefillTokens = 512, sharePrefixes = true } = options;
    const { config, device } = options.model.decoder;
    this.#options = {
      ...options,
      maxRows: Math.min(maxRows, device.info.fewRows ?? Number.POSITIVE_INFINITY),
      stepsPerRead,
      prefillTokens,
    };
    this.#maxWaiting = maxWaiting;
    this.#settings = resolveOptions({ ...this.#options, prompts: [] }, "Scheduler");
    const maxTable = Math.ceil(config.maxPositions / this.#settings.blockSize);
    const blockCount = Math.min(mostBlocks(this.#settings), this.#settings.maxRows * maxTable);
    if (blockCount === 0) {
      throw new ConfigError(
        `Scheduler: \`cacheBytes\` must hold a block of ${this.#settings.blockSize} positions, got ${this.#settings.cacheBytes}. Raise it.`,
      );
    }
    this.#session = new Tape(device, { grad: false });
    this.#batch = new Batch(this.#session, this.#settings, { blockCount, maxRows: this.#settings.maxRows, maxTable }, sharePrefixes);
  }

  get stats(): SchedulerStats {
    const { runningRows, waitingRows, cacheBytes } = this.#batch;
    return { ...this.#totals, running: runningRows, waiting: waitingRows, cacheBytes };
  }

  /**
   * Queues a request and hands out each completion's new tokens and text as they come. Everything that can be refused is refused at once: ConfigError
   * and DataError for bad options and prompts, OutOfMemoryError for what can never fit the cache, BusyError when too many wait. Leaving the loop early
   * takes the request out.
   */
  generate(request: ScheduledRequest): AsyncGenerator<CompletionDelta, void> {
    if (this.#end) throw this.#end;
    request.signal?.throwIfAborted();
    const { signal, ...rest } = request;
    const { cacheBytes } = this.#batch;
    const { groups, rowCount } = planGroups(resolveOptions({ ...this.#options, ...rest, cacheBytes }, "Scheduler.generate"));
    const { runningRows, waitingRows } = this.#batch;
    const wouldWait = waitingRows + rowCount - (this.#settings.maxRows - runningRows);
    if (!this.#batch.isIdle && wouldWait > this.#maxWaiting) {
      throw new BusyError(
        `Scheduler.generate: at most ${this.#maxWaiting} completions may wait, got ${wouldWait} with this request. Ask again later.`,
      );
    }
    const job: Job = { rows: new Set(groups.flatMap((group) => group.rows)), queue: new DeltaQueue(rowCount) };
    for (const row of job.rows) this.#jobs.set(row, job);
    const onAbort = () => {
      job.queue.fail(signal?.reason);
      this.#leave(job);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#batch.add(groups);
    this.#pump ??= this.#run();
    return this.#stream(job, () => signal?.removeEventListener("abort", onAbort));
  }

  /** Ends every request with an error, and frees the cache. */
  async close(): Promise<void> {
    this.#fail(new ConfigError("Scheduler: it must be open, got one that was closed. Make another one."));
    await this.#pump;
    this.#session.dispose();
  }

  async *#stream({ queue, ...job }: Job, onEnd: () => void): AsyncGenerator<CompletionDelta, void> {
    try {
      yield* queue;
    } finally {
      onEnd();
      this.#leave(job);
    }
  }

  /** What is left of the job is taken out before the next step. */
  #leave({ rows }: Pick<Job, "rows">): void {
    for (const row of rows) if (this.#jobs.delete(row)) this.#leaving.add(row);
  }

  /** Steps as long as there is something to do. */
  async #run(): Promise<void> {
    try {
      // Requests that come in one turn of the loop begin together.
      for (await turnOfTheLoop(); !this.#end; await turnOfTheLoop()) {
        this.#batch.remove(this.#leaving);
        this.#leaving.clear();
        if (this.#batch.isIdle) break;
        this.#handOut(await this.#batch.step());
      }
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      this.#pump = undefined;
    }
  }

  #handOut(step: BatchStep): void {
    const totals = this.#totals;
    totals.peakRows = Math.max(totals.peakRows, step.rows);
    if (step.kind === "prefill") totals.prefillTokens += step.length;
    totals.cachedTokens += step.cachedTokens;
    for (const [row, delta] of step.advanced) {
      totals.newTokens += delta.tokens.length;
      const completion = row.completion();
      const job = this.#jobs.get(row);
      if (completion) this.#jobs.delete(row);
      job?.queue.push({ promptIndex: row.promptIndex, sampleIndex: row.sampleIndex, ...delta, completion });
    }
  }

  #fail(error: Error): void {
    this.#end ??= error;
    for (const { queue } of this.#jobs.values()) queue.fail(error);
    this.#jobs.clear();
  }
}
