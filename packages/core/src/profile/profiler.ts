/** Adds up where time goes: by phase of a training step, and within a phase by op. */
import type { Cost } from "@trimtab/kernels";

/** The phases of a step that trainers mark. */
export type Phase = "rollout" | "reward" | "forward" | "backward" | "optimiser";

/** All calls of one op in one phase. */
export interface OpProfile {
  /** An entry point, e.g. `matmul_forward`, or a transfer: `copy`, `write`, `read`. */
  readonly name: string;
  readonly calls: number;
  readonly ms: number;
  readonly cost: Cost;
  /** What the calls would take at the machine's ceilings; NaN where nobody has measured them. */
  readonly boundMs: number;
}

export interface PhaseProfile {
  readonly name: string;
  readonly ms: number;
  /** The longest first. */
  readonly ops: readonly OpProfile[];
}

export interface Profile {
  /** Between {@link Profiler.reset} and {@link Profiler.take}, by the host's clock. */
  readonly ms: number;
  /**
   * The longest first. They add up to `ms`. Where the device runs as it is called (wasm), a phase is the time spent inside its marks, and `other` the
   * rest. Where it runs behind the host's back (webgpu), a phase is the device's time for what was dispatched inside its marks, or the host's where
   * that was nothing, and the rest is `host and waiting`.
   */
  readonly phases: readonly PhaseProfile[];
}

interface Tally {
  calls: number;
  ms: number;
  flops: number;
  bytes: number;
  boundMs: number;
}

interface PhaseTally {
  /** By the host's clock, without phases within. */
  hostMs: number;
  readonly ops: Map<string, Tally>;
}

/** What {@link Profiler} needs from outside. */
export interface ProfilerOptions {
  /** Milliseconds. */
  readonly now: () => number;
  /** What a call of this cost takes at the machine's ceilings, in milliseconds. */
  readonly bound?: ((cost: Cost) => number) | undefined;
}

const OUTSIDE = "other";

export class Profiler {
  readonly #now: () => number;
  readonly #bound: (cost: Cost) => number;
  readonly #isQueued: boolean;
  #phases = new Map<string, PhaseTally>();
  readonly #stack: string[] = [OUTSIDE];
  #started: number;
  /** When the innermost phase last began to count. */
  #mark: number;

  /** `isQueued`: the device runs behind the host's back. */
  constructor({ now, bound }: ProfilerOptions, isQueued: boolean) {
    this.#now = now;
    this.#bound = bound ?? (() => Number.NaN);
    this.#isQueued = isQueued;
    this.#started = now();
    this.#mark = this.#started;
  }

  /** Runs `work`, or awaits it, as part of a phase. A phase within a phase is counted by itself. */
  within<T>(phase: string, work: () => T): T {
    this.#enter(phase);
    let result: T;
    try {
      result = work();
    } catch (error) {
      this.#leave(phase);
      throw error;
    }
    if (result instanceof Promise) return result.finally(() => this.#leave(phase)) as T;
    this.#leave(phase);
    return result;
  }

  /** Counts one call and returns where its time is to be added, once or in parts, now or later. */
  count(name: string, cost: Cost): (ms: number) => void {
    const { ops } = this.#tallyOf(this.#current);
    let tally = ops.get(name);
    if (!tally) {
      tally = { calls: 0, ms: 0, flops: 0, bytes: 0, boundMs: 0 };
      ops.set(name, tally);
    }
    const own = tally;
    own.calls += 1;
    own.flops += cost.flops;
    own.bytes += cost.bytes;
    own.boundMs += this.#bound(cost);
    return (ms) => {
      own.ms += ms;
    };
  }

  /** Runs `work` on the host's clock as one call. */
  time<T>(name: string, cost: Cost, work: () => T): T {
    const add = this.count(name, cost);
    const start = this.#now();
    try {
      return work();
    } finally {
      add(this.#now() - start);
    }
  }

  /** Forgets what has been counted: what follows is profiled. */
  reset(): void {
    this.#phases = new Map();
    this.#started = this.#now();
    this.#mark = this.#started;
  }

  /** What has been counted so far. Sync the device first: work it has not finished is missing. */
  take(): Profile {
    this.#advance();
    const ms = this.#mark - this.#started;
    const phases = [...this.#phases].map(([name, { hostMs, ops }]): PhaseProfile & { readonly deviceMs: number } => {
      const profiles = [...ops].map(([op, { calls, ms: opMs, flops, bytes, boundMs }]): OpProfile => {
        return { name: op, calls, ms: opMs, cost: { flops, bytes }, boundMs };
      });
      const deviceMs = profiles.reduce((sum, op) => sum + op.ms, 0);
      return { name, ms: hostMs, deviceMs, ops: profiles.sort((a, b) => b.ms - a.ms) };
    });
    const shown = this.#isQueued ? this.#onQueue(ms, phases) : phases.map(({ deviceMs: _, ...phase }) => phase);
    return { ms, phases: [...shown].filter((phase) => phase.ms > 0).sort((a, b) => b.ms - a.ms) };
  }

  #onQueue(ms: number, phases: readonly (PhaseProfile & { readonly deviceMs: number })[]): PhaseProfile[] {
    const counted = phases
      .filter(({ name, deviceMs }) => deviceMs > 0 || name !== OUTSIDE)
      .map(({ name, ms: hostMs, deviceMs, ops }) => ({ name, ms: deviceMs > 0 ? deviceMs : hostMs, ops }));
    const rest = ms - counted.reduce((sum, phase) => sum + phase.ms, 0);
    return [...counted, { name: "host and waiting", ms: Math.max(0, rest), ops: [] }];
  }

  get #current(): string {
    return this.#stack.at(-1) as string;
  }

  #enter(phase: string): void {
    this.#advance();
    this.#stack.push(phase);
  }

  #leave(phase: string): void {
    this.#advance();
    // Not always the innermost: two pieces of asynchronous work may end in any order.
    this.#stack.splice(this.#stack.lastIndexOf(phase), 1);
  }

  /** Gives the time since the last mark to the innermost phase. */
  #advance(): void {
    const now = this.#now();
    this.#tallyOf(this.#current).hostMs += now - this.#mark;
    this.#mark = now;
  }

  #tallyOf(phase: string): PhaseTally {
    let tally = this.#phases.get(phase);
    if (!tally) {
      tally = { hostMs: 0, ops: new Map() };
      this.#phases.set(phase, tally);
    }
    return tally;
  }
}
