/**
 * @trimtab/kernels/wasm/pool: the threads that run the grains of a phase, and the words they share.
 *
 * A phase is one kernel over `items` work items in grains. The calling thread writes the command, opens the tickets and takes grains itself;
 * workers that are awake join, and the phase is over when every grain is done: nobody waits for a worker that took none. Which thread ran
 * a grain cannot matter, because grains write disjoint memory and are cut without regard to the number of threads.
 *
 * Grains lie in as many segments as there are threads. A thread takes those of its own segment first, then what others have left: so the rows that
 * it wrote in one phase are, in the next, those that it reads, and are still in its own cache.
 */
import { CONTROL, MAX_ARGS, MAX_SEGMENTS, SCRATCH_BASE, SCRATCH_BYTES, TICKET_BYTES } from "./layout";
import { instantiate, type WasmFunction, type WasmMemory, type WasmModule } from "./webassembly";

/** What a worker is started with; it can be posted as it is. */
export interface PoolWorkerInit {
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  /** 1 for the first worker; the calling thread is 0. */
  readonly index: number;
  /** How many times an idle worker looks for work before it sleeps. */
  readonly spins: number;
}

/** Grains of one phase; a ticket keeps 12 bits for them and 20 for the phase. */
export const MAX_GRAINS = 4094;
const GRAIN_BITS = 12;
const GRAIN_MASK = (1 << GRAIN_BITS) - 1;
/** A thread takes an eighth of what is left of a segment, so that others find some of it when they have nothing left of their own. */
const SHARE_BITS = 3;
const STOP = -1;

/** Words of the control block as indices of an Int32Array. */
const GENERATION = CONTROL.generation / 4;
const TICKETS = CONTROL.tickets / 4;
const TICKET_STEP = TICKET_BYTES / 4;
const DONE = CONTROL.done / 4;
const SLEEPERS = CONTROL.sleepers / 4;
const WAITING = CONTROL.waiting / 4;
const FAILED = CONTROL.failed / 4;
const COMMAND = CONTROL.command / 4;
const ARGS = CONTROL.args / 8;
/** The whole control block. */
const WORDS = TICKETS + MAX_SEGMENTS * TICKET_STEP;

/** One kernel over a range of items. */
export interface Phase {
  readonly kernel: string;
  /** Everything before the range. */
  readonly args: readonly number[];
  readonly items: number;
  /** Items taken at a time; at least `items` means: not worth waking anyone. */
  readonly grain: number;
}

function ticketOf(generation: number): number {
  return generation << GRAIN_BITS;
}

/** A phase as its threads see it. */
interface Work {
  readonly generation: number;
  readonly fn: WasmFunction;
  /** Room for the range behind them. */
  readonly args: number[];
  readonly items: number;
  readonly grain: number;
  readonly segments: number;
}

/** Takes and runs grains of the phase until none is left, thread `index` from its own segment on; returns how many. */
function runGrains(words: Int32Array, { generation, fn, args, items, grain, segments }: Work, index: number): number {
  const phase = ticketOf(generation) >>> GRAIN_BITS;
  const grains = Math.ceil(items / grain);
  const at = args.length;
  let done = 0;
  for (let i = 0; i < segments; ) {
    const segment = (index + i) % segments;
    const word = TICKETS + segment * TICKET_STEP;
    const ticket = Atomics.load(words, word);
    const next = ticket & GRAIN_MASK;
    const left = firstGrain(grains, segment + 1, segments) - next;
    if (ticket >>> GRAIN_BITS !== phase || left <= 0) {
      i++;
      continue;
    }
    // Many at a time while many are left, single ones at the end, so that all threads finish together.
    const taken = Math.max(1, left >> SHARE_BITS);
    if (Atomics.compareExchange(words, word, ticket, ticket + taken) !== ticket) continue;
    args[at] = next * grain;
    args[at + 1] = Math.min(items, (next + taken) * grain);
    fn(...args);
    args.length = at;
    done += taken;
  }
  return done;
}

function firstGrain(grains: number, segment: number, segments: number): number {
  return Math.floor((grains * segment) / segments);
}

/** The loop of a worker; returns when the device is destroyed. Call it only after reporting ready. */
export function runPoolWorker({ module, memory, index, spins }: PoolWorkerInit): void {
  const kernels = instantiate(module, memory);
  const table = [...kernels.values()];
  kernels.get("set_thread_scratch")?.(SCRATCH_BASE + index * SCRATCH_BYTES);
  const words = new Int32Array(memory.buffer, 0, WORDS);
  const argWords = new Float64Array(memory.buffer, 0, ARGS + MAX_ARGS);
  let seen = 0;
  for (;;) {
    let generation = Atomics.load(words, GENERATION);
    for (let spin = 0; generation === seen && spin < spins; spin++) generation = Atomics.load(words, GENERATION);
    if (generation === seen) {
      Atomics.add(words, SLEEPERS, 1);
      Atomics.wait(words, GENERATION, seen);
      Atomics.sub(words, SLEEPERS, 1);
      continue;
    }
    seen = generation;
    // Read before the ticket: a ticket that still fits this generation proves that the command was not overwritten meanwhile.
    const fn = words[COMMAND] as number;
    const count = words[COMMAND + 1] as number;
    const items = words[COMMAND + 2] as number;
    const grain = words[COMMAND + 3] as number;
    const segments = words[COMMAND + 4] as number;
    const args = Array.from(argWords.subarray(ARGS, ARGS + Math.min(count, MAX_ARGS)));
    if (fn === STOP) return;
    const kernel = table[fn];
    if (kernel === undefined) continue;
    try {
      const done = runGrains(words, { generation, fn: kernel, args, items, grain, segments }, index);
      if (done > 0) Atomics.add(words, DONE, done);
    } catch (error) {
      Atomics.store(words, FAILED, index + 1);
      throw error;
    } finally {
      if (Atomics.load(words, WAITING) === 1) Atomics.notify(words, DONE);
    }
  }
}

/** The calling thread's side: posts phases and takes part in them. */
export class Team {
  readonly #words: Int32Array;
  readonly #args: Float64Array;
  readonly #spins: number;
  readonly #mayWait: boolean;
  readonly #segments: number;
  #generation = 0;

  /** `mayWait`: whether this thread may block in Atomics.wait (not on a page's main thread). */
  constructor(memory: WasmMemory, threads: number, spins: number, mayWait: boolean) {
    this.#segments = Math.min(threads, MAX_SEGMENTS);
    this.#words = new Int32Array(memory.buffer, 0, WORDS);
    this.#args = new Float64Array(memory.buffer, 0, ARGS + MAX_ARGS);
    this.#spins = spins;
    this.#mayWait = mayWait;
  }

  /** Runs a phase to its end with whoever is awake. Returns the index of a worker that failed, or 0. */
  run(fn: WasmFunction, index: number, args: number[], items: number, grain: number): number {
    const generation = this.#post(index, args, items, grain);
    const grains = Math.ceil(items / grain);
    const mine = runGrains(this.#words, { generation, fn, args, items, grain, segments: this.#segments }, 0);
    if (mine === grains || Atomics.add(this.#words, DONE, mine) + mine === grains) return 0;
    return this.#join(grains);
  }

  /** Lets every worker leave its loop. */
  stop(): void {
    this.#post(STOP, [], 0, 1);
    Atomics.notify(this.#words, GENERATION);
  }

  #post(index: number, args: readonly number[], items: number, grain: number): number {
    const words = this.#words;
    this.#generation = (this.#generation + 1) | 0;
    const ticket = ticketOf(this.#generation);
    // Closed first: a worker that is late for the previous phase must find either that phase's end or this phase's number.
    this.#setTickets(() => ticket | GRAIN_MASK);
    words[COMMAND] = index;
    words[COMMAND + 1] = args.length;
    words[COMMAND + 2] = items;
    words[COMMAND + 3] = grain;
    words[COMMAND + 4] = this.#segments;
    this.#args.set(args, ARGS);
    Atomics.store(words, DONE, 0);
    const grains = Math.ceil(items / grain);
    this.#setTickets((segment) => ticket + firstGrain(grains, segment, this.#segments));
    Atomics.store(words, GENERATION, this.#generation);
    if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, GENERATION);
    return this.#generation;
  }

  #setTickets(ticketOfSegment: (segment: number) => number): void {
    for (let s = 0; s < this.#segments; s++) Atomics.store(this.#words, TICKETS + s * TICKET_STEP, ticketOfSegment(s));
  }

  #join(grains: number): number {
    const words = this.#words;
    for (let spin = 0; ; spin++) {
      const done = Atomics.load(words, DONE);
      if (done === grains) return 0;
      const failed = Atomics.load(words, FAILED);
      if (failed !== 0) return failed - 1;
      if (spin < this.#spins || !this.#mayWait) continue;
      Atomics.store(words, WAITING, 1);
      Atomics.wait(words, DONE, done, 1);
      Atomics.store(words, WAITING, 0);
    }
  }
}
