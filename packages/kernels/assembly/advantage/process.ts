/** Process supervision: step rewards of a whole group normalised together, then summed from each token onwards. */
import { mean, moments, std } from "./moments";

const GROUP: u32 = 0;
const BATCH: u32 = 1;

/**
 * values (K) f64, NaN = absent; ends (K) u32, the row's token index at which a step ends; steps (S + 1) and tokens (S + 1) u32 -> out (N):
 * A_t = sum of (value - mean) / (std + epsilon) over the row's steps that end at t or later, 0 after the last one. Mean and std pool the steps of
 * `groupSize` consecutive rows; std is that of the group, of all steps, or 1.
 */
export function process_advantages(
  out: usize, values: usize, ends: usize, steps: usize, tokens: usize, rows: u32, groupSize: u32, scale: u32, epsilon: f64,
): void {
  const total = load<u32>(steps + ((<usize>rows) << 2));
  moments(values, total, 1);
  const batchStd = std;
  memory.fill(out, 0, (<usize>load<u32>(tokens + ((<usize>rows) << 2))) << 3);
  for (let start: u32 = 0; start < rows; start += groupSize) {
    const first = load<u32>(steps + ((<usize>start) << 2));
    const last = load<u32>(steps + ((<usize>(start + groupSize)) << 2));
    moments(values + ((<usize>first) << 3), last - first, 1);
    const divisor = scale == GROUP ? std + epsilon : scale == BATCH ? batchStd + epsilon : 1.0;
    for (let row = start; row < start + groupSize; row++) {
      const begin = load<u32>(tokens + ((<usize>row) << 2));
      const end = load<u32>(tokens + ((<usize>row) << 2), 4);
      for (let k = load<u32>(steps + ((<usize>row) << 2)); k < load<u32>(steps + ((<usize>row) << 2), 4); k++) {
        const deviation = load<f64>(values + ((<usize>k) << 3)) - mean;
        // Equal rewards and absent ones say nothing, also where epsilon is 0 and the quotient would be 0 / 0.
        if (deviation == 0 || deviation != deviation) continue;
        const at = out + ((<usize>(begin + load<u32>(ends + ((<usize>k) << 2)))) << 3);
        store<f64>(at, load<f64>(at) + deviation / divisor);
      }
      let carried: f64 = 0;
      for (let t = end; t > begin; t--) {
        const at = out + ((<usize>(t - 1)) << 3);
        carried += load<f64>(at);
        store<f64>(at, carried);
      }
    }
  }
}
