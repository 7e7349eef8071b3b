/** Where things lie in linear memory: the constants of the module (from 1024 on), control words, thread scratch, then the arena. */

/** Scratch of each thread; equals SCRATCH_BYTES of assembly/lib/scratch.ts. */
export const SCRATCH_BYTES = 1 << 20;

/** The control block: words on cache lines of their own, then one command, then tickets. Offsets in bytes. */
export const CONTROL = {
  /** Counts phases; a worker sleeps until it changes. */
  generation: 2048,
  /** Grains done in this phase. */
  done: 2176,
  /** Workers asleep. */
  sleepers: 2240,
  /** 1 while the calling thread sleeps on `done`. */
  waiting: 2304,
  /** 1 + index of the worker that failed. */
  failed: 2368,
  /** Function index, number of arguments, items, grain, segments. */
  command: 2432,
  /** The arguments, f64. */
  args: 2496,
  /** For each segment the phase's low bits and the next grain to take. */
  tickets: 2816,
} as const;

export const MAX_ARGS = 32;
/** Segments of a phase: as many as threads, at most this. */
export const MAX_SEGMENTS = 16;
/** From one ticket to the next: a cache line. */
export const TICKET_BYTES = 64;

/** First byte of the scratch of thread 0. */
export const SCRATCH_BASE = 4096;

/** First byte of the arena. */
export function arenaBase(threads: number): number {
  return SCRATCH_BASE + threads * SCRATCH_BYTES;
}
