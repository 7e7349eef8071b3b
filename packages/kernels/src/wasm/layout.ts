/** Where things lie in linear memory: control words, thread scratch, then the arena. */

/** Scratch of each thread; equals SCRATCH_BYTES of assembly/lib/scratch.ts. */
export const SCRATCH_BYTES = 1 << 20;

/** The control block: words on cache lines of their own, then one command. Offsets in bytes. */
export const CONTROL = {
  /** Counts phases; a worker sleeps until it changes. */
  generation: 1024,
  /** The phase's low bits and the next grain to take. */
  ticket: 1088,
  /** Grains done in this phase. */
  done: 1152,
  /** Workers asleep. */
  sleepers: 1216,
  /** 1 while the calling thread sleeps on `done`. */
  waiting: 1280,
  /** 1 + index of the worker that failed. */
  failed: 1344,
  /** Function index, number of arguments, items, grain. */
  command: 1408,
  /** The arguments, f64. */
  args: 1472,
} as const;

export const MAX_ARGS = 32;

/** First byte of the scratch of thread 0. */
export const SCRATCH_BASE = 4096;

/** First byte of the arena. */
export function arenaBase(threads: number): number {
  return SCRATCH_BASE + threads * SCRATCH_BYTES;
}
