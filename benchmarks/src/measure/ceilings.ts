/** What a machine can do at most: the arithmetic and the streaming rates that every kernel's time is held against. */
import type { Cost } from "@trimtab/kernels";

/** Streaming over a working set of so many bytes. */
export interface StreamRate {
  readonly bytes: number;
  /** Bytes read and written, whichever mix of the two is fastest. */
  readonly gigabytesPerSecond: number;
}

export interface Ceilings {
  /** Multiply-adds with every operand in registers, two operations each, all threads together. */
  readonly gflops: number;
  /** From small working sets, which a cache holds, to large ones, which memory holds; all threads together. */
  readonly streams: readonly StreamRate[];
}

/** Bytes a thread streams over: from the first-level cache to well beyond the last. */
export const WORKING_SETS: readonly number[] = [16, 256, 1024, 4096, 16_384, 131_072].map((kibibytes) => kibibytes * 1024);

/** The better rate of each probe of two measurements of the same machine. */
export function bestCeilings(a: Ceilings, b: Ceilings): Ceilings {
  return {
    gflops: Math.max(a.gflops, b.gflops),
    streams: a.streams.map(({ bytes, gigabytesPerSecond }, i) => ({
      bytes,
      gigabytesPerSecond: Math.max(gigabytesPerSecond, (b.streams[i] as StreamRate).gigabytesPerSecond),
    })),
  };
}

/** The rate that a call moving `bytes` could at most stream at: that of the largest measured working set that is no larger. */
export function streamCeiling({ streams }: Ceilings, bytes: number): number {
  const at = Math.max(
    0,
    streams.findLastIndex((stream) => stream.bytes <= bytes),
  );
  // A larger working set never streams faster: where it seems to, the smaller one was measured in a slow spell.
  return Math.max(...streams.slice(at).map(({ gigabytesPerSecond }) => gigabytesPerSecond));
}

/** The least milliseconds that a call of this cost can take. What is read and written counts twice, so its working set may be half of its bytes. */
export function boundMs(ceilings: Ceilings, { flops, bytes }: Cost): number {
  return Math.max(flops / ceilings.gflops, bytes / streamCeiling(ceilings, bytes / 2)) / 1e6;
}

/** How far above a ceiling the best of several timings may be by the noise of two clocks alone. */
const TOLERANCE = 1.03;

/** Throws where anything ran faster than the machine is said to be able to: then the ceiling is wrong, and every share of it. */
export function requireBelowCeiling(shares: readonly { readonly name: string; readonly share: number }[]): void {
  const above = shares.filter(({ share }) => share > TOLERANCE);
  if (above.length === 0) return;
  const words = above.map(({ name, share }) => `${name} at ${(100 * share).toFixed(0)} %`);
  throw new Error(
    `roofline: no kernel may beat its ceiling, got ${words.join(", ")}. Correct the ceiling (or the op's cost), or measure on an idle machine.`,
  );
}
