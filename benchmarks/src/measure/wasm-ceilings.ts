/** The ceilings of wasm code: multiply-adds in registers and streams through memory, per build and per thread. */
import relaxedBase64 from "../../build/ceiling-relaxed.wasm";
import strictBase64 from "../../build/ceiling-strict.wasm";
import { type Ceilings, WORKING_SETS } from "./ceilings";

export type Build = "strict" | "relaxed";

interface CeilingModule {
  readonly memory: WebAssembly.Memory;
  base(): number;
  multiplyAdd(turns: number, factor: number): number;
  readStream(from: number, length: number, passes: number): number;
  writeStream(to: number, length: number, passes: number): void;
  copyStream(from: number, to: number, length: number, passes: number): void;
}

/** One thing that is measured again and again. */
export interface Probe {
  /** Does some work and returns how many operations or bytes it was. */
  readonly run: () => number;
}

const TURNS = 200_000;
const OPERATIONS_PER_TURN = 13 * 4 * 2;
/** Bytes streamed between two looks at the clock. */
const STREAMED = 16 << 20;

/** What is probed for each working set. */
const STREAMS = ["read", "write", "copy"] as const;

/** The probes in order: multiply-adds, then every stream of every working set. Undefined where this engine refuses the build. */
export function makeProbes(build: Build): readonly Probe[] | undefined {
  const bytes = Uint8Array.from(atob(build === "strict" ? strictBase64 : relaxedBase64), (letter) => letter.charCodeAt(0));
  if (!WebAssembly.validate(bytes)) return undefined;
  const module = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as CeilingModule;
  const from = module.base();
  const largest = Math.max(...WORKING_SETS);
  module.memory.grow(Math.ceil((from + largest) / 65536) - module.memory.buffer.byteLength / 65536 + 1);
  return [
    {
      run: () => {
        module.multiplyAdd(TURNS, 0.5);
        return TURNS * OPERATIONS_PER_TURN;
      },
    },
    ...WORKING_SETS.flatMap((set) => {
      const passes = Math.max(1, Math.floor(STREAMED / set));
      return STREAMS.map((stream): Probe => {
        return {
          run: () => {
            if (stream === "read") module.readStream(from, set, passes);
            else if (stream === "write") module.writeStream(from, set, passes);
            else module.copyStream(from, from + set / 2, set / 2, passes);
            return set * passes;
          },
        };
      });
    }),
  ];
}

/** Runs a probe for about `ms` and returns its rate in 10^9 a second. */
export function rateOf({ run }: Probe, ms: number): number {
  const start = performance.now();
  let [done, elapsed] = [0, 0];
  while (elapsed < ms) {
    done += run();
    elapsed = performance.now() - start;
  }
  return done / elapsed / 1e6;
}

/** Ceilings from the best rate of every probe, in the order of {@link makeProbes}. */
export function ceilingsOf(rates: readonly number[]): Ceilings {
  const [gflops = 0, ...streams] = rates;
  return {
    gflops,
    streams: WORKING_SETS.map((bytes, i) => ({
      bytes,
      gigabytesPerSecond: Math.max(...streams.slice(i * STREAMS.length, (i + 1) * STREAMS.length)),
    })),
  };
}

/** The ceilings of the calling thread, alone; undefined where this engine refuses the build. */
export function measureThread(build: Build, { rounds = 8, ms = 10 } = {}): Ceilings | undefined {
  const probes = makeProbes(build);
  if (!probes) return undefined;
  return ceilingsOf(probes.map((probe) => Math.max(...Array.from({ length: rounds }, () => rateOf(probe, ms)))));
}

/** The multiply-add ceiling of the calling thread alone, in GFLOP/s; undefined where this engine refuses the build. */
export function measureMultiplyAdd(build: Build): number | undefined {
  const [probe] = makeProbes(build) ?? [];
  return probe && Math.max(...Array.from({ length: 15 }, () => rateOf(probe, 4)));
}
