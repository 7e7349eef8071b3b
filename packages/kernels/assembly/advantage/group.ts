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

/** out (P): sample standard deviation of each group's present rewards; exactly 0 where they are equal or fewer than two. */
export function group_spreads(out: usize, rewards: usize, n: u32, groupSize: u32): void {
  let g: u32 = 0;
  for (let start: u32 = 0; start < n; start += groupSize) {
    moments(rewards + ((<usize>start) << 3), groupSize, 1);
    store<f64>(out + ((<usize>g) << 3), std);
    g += 1;
  }
}

/** A = r - b, b one number per group; 0 where either is absent. */
export function subtract_baselines(out: usize, rewards: usize, baselines: usize, n: u32, groupSize: u32): void {
  for (let i: u32 = 0; i < n; i++) {
    const p = (<usize>i) << 3;
    const a = load<f64>(rewards + p) - load<f64>(baselines + ((<usize>(i / groupSize)) << 3));
    store<f64>(out + p, a != a ? 0.0 : a);
  }
}

/** out (P): sum of n r / sum of n over each group's present rewards, n = length; NaN where no present completion has a length. */
export function length_weighted_means(out: usize, rewards: usize, lengths: usize, n: u32, groupSize: u32): void {
  let g: u32 = 0;
  for (let start: u32 = 0; start < n; start += groupSize) {
    let first = NaN;
    let weight: f64 = 0;
    let sum: f64 = 0;
    for (let i: u32 = start; i < start + groupSize; i++) {
      const p = (<usize>i) << 3;
      const r = load<f64>(rewards + p);
      const w = load<f64>(lengths + p);
      if (r != r || w == 0) continue;
      // Differences from the first one, so that equal rewards have exactly that mean.
      if (first != first) first = r;
      weight += w;
      sum += w * (r - first);
    }
    store<f64>(out + ((<usize>g) << 3), first + sum / weight);
    g += 1;
  }
}

/** The best of each group gets r_max - r_second, over (std + epsilon) where `scale` is not 0; every other completion gets 0. */
export function best_minus_second(out: usize, rewards: usize, n: u32, groupSize: u32, scale: u32, epsilon: f64): void {
  for (let start: u32 = 0; start < n; start += groupSize) {
    moments(rewards + ((<usize>start) << 3), groupSize, 1);
    let best = start;
    let largest: f64 = -Infinity;
    let second: f64 = -Infinity;
    for (let i: u32 = start; i < start + groupSize; i++) {
      const p = (<usize>i) << 3;
      store<f64>(out + p, 0.0);
      const r = load<f64>(rewards + p);
      if (r > largest) {
        second = largest;
        largest = r;
        best = i;
      } else if (r > second) second = r;
    }
    if (count < 2) continue;
    store<f64>(out + ((<usize>best) << 3), (largest - second) / (scale != 0 ? std + epsilon : 1.0));
  }
}
