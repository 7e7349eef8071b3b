/** Advantages from groups of completions of one prompt; NaN marks a completion without a reward and always gives advantage 0. */
import { count, mean, moments, std } from "./moments";

const GROUP: u32 = 0;
const BATCH: u32 = 1;

/** rewards (B, K) f64 with NaN, weights (K) -> out (B): sum of w r over present values, NaN where none is; then clipped. */
export function combine_rewards(out: usize, rewards: usize, weights: usize, rows: u32, columns: u32, low: f64, high: f64): void {
  for (let b: u32 = 0; b < rows; b++) {
    let sum: f64 = 0;
    let present: u32 = 0;
    for (let k: u32 = 0; k < columns; k++) {
      const r = load<f64>(rewards + ((<usize>b * columns + k) << 3));
      if (r != r) continue;
      present += 1;
      sum += r * load<f64>(weights + ((<usize>k) << 3));
    }
    store<f64>(out + ((<usize>b) << 3), present == 0 ? NaN : min(max(sum, low), high));
  }
}

/** A = (r - group mean) / (std + epsilon), std with Bessel's correction over the group, the batch, or not at all. */
export function group_advantages(out: usize, rewards: usize, n: u32, groupSize: u32, scale: u32, epsilon: f64): void {
  moments(rewards, n, 1);
  const batchStd = std;
  for (let start: u32 = 0; start < n; start += groupSize) {
    const at = (<usize>start) << 3;
    moments(rewards + at, groupSize, 1);
    const divisor = scale == GROUP ? std + epsilon : scale == BATCH ? batchStd + epsilon : 1.0;
    for (let i: u32 = 0; i < groupSize; i++) {
      const p = at + ((<usize>i) << 3);
      const r = load<f64>(rewards + p);
      store<f64>(out + p, r != r ? 0.0 : (r - mean) / divisor);
    }
  }
}

/** GDPO: each reward function is normalised within its group, then weighted and summed. out (B) is NaN where none is present. */
export function normalize_then_sum(out: usize, rewards: usize, weights: usize, column: usize, rows: u32, columns: u32, groupSize: u32, epsilon: f64): void {
  for (let b: u32 = 0; b < rows; b++) store<f64>(out + ((<usize>b) << 3), NaN);
  for (let k: u32 = 0; k < columns; k++) {
    const w = load<f64>(weights + ((<usize>k) << 3));
    for (let start: u32 = 0; start < rows; start += groupSize) {
      for (let i: u32 = 0; i < groupSize; i++) {
        store<f64>(column + ((<usize>i) << 3), load<f64>(rewards + ((<usize>(start + i) * columns + k) << 3)));
      }
      moments(column, groupSize, 1);
      for (let i: u32 = 0; i < groupSize; i++) {
        const r = load<f64>(column + ((<usize>i) << 3));
        if (r != r) continue;
        const p = out + ((<usize>(start + i)) << 3);
        const before = load<f64>(p);
        store<f64>(p, (before != before ? 0.0 : before) + (w * (r - mean)) / (std + epsilon));
      }
    }
  }
}

/** A = (x - mean) / (std + epsilon) over all present values (Bessel); 0 where absent. In place when out == x. */
export function standardize(out: usize, x: usize, n: u32, epsilon: f64): void {
  moments(x, n, 1);
  for (let i: u32 = 0; i < n; i++) {
    const v = load<f64>(x + ((<usize>i) << 3));
    store<f64>(out + ((<usize>i) << 3), v != v ? 0.0 : (v - mean) / (std + epsilon));
  }
}

/** A = r - mean of the group's other present rewards. NaN stays NaN, and 0 where a group has one present reward. */
export function leave_one_out(out: usize, rewards: usize, n: u32, groupSize: u32): void {
  for (let start: u32 = 0; start < n; start += groupSize) {
    const at = (<usize>start) << 3;
    moments(rewards + at, groupSize, 1);
    // r - (c m - r) / (c - 1) = (r - m) c / (c - 1): exact zeros for equal rewards.
    const factor = count > 1 ? <f64>count / <f64>(count - 1) : 0.0;
    for (let i: u32 = 0; i < groupSize; i++) {
      const p = at + ((<usize>i) << 3);
      const r = load<f64>(rewards + p);
      store<f64>(out + p, r != r ? NaN : (r - mean) * factor);
    }
  }
}
