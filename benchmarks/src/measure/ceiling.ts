/** The multiply-add rate of one thread with all operands in registers, per wasm build: what every GFLOP/s is a share of. */
import relaxedBytes from "../../build/ceiling-relaxed.wasm";
import strictBytes from "../../build/ceiling-strict.wasm";

const TURNS = 2_000_000;
const OPERATIONS_PER_TURN = 13 * 4 * 2;

/** Best GFLOP/s over `rounds` rounds; undefined where this engine refuses the build. */
export function measureCeiling(build: "strict" | "relaxed", rounds = 15): number | undefined {
  const bytes = build === "strict" ? strictBytes : relaxedBytes;
  if (!WebAssembly.validate(bytes)) return undefined;
  const { multiplyAdd } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as {
    multiplyAdd(turns: number, factor: number): number;
  };
  let best = 0;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    multiplyAdd(TURNS, 0.5);
    best = Math.max(best, (TURNS * OPERATIONS_PER_TURN) / (performance.now() - start) / 1e6);
  }
  return best;
}
