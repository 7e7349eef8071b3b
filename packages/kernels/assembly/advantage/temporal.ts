/** Per-token credit over ragged rows: generalised advantage estimation, discounted returns, masked whitening. */

/**
 * delta_t = r_t + gamma V_{t+1} - V_t;  A_t = delta_t + gamma lambda A_{t+1};  R_t = A_t + V_t, backward over each row.
 * rewards, values, advantages, returns (N) f64; offsets (S + 1) u32; mask, dones (N) u8 or 0; lastValues (S) f64 or 0.
 */
export function gae(
  advantages: usize, returns: usize, rewards: usize, values: usize, offsets: usize, mask: usize, dones: usize, lastValues: usize,
  rows: u32, gamma: f64, lambda: f64,
): void {
  for (let s: u32 = 0; s < rows; s++) {
    const begin = <i32>load<u32>(offsets + ((<usize>s) << 2));
    const end = <i32>load<u32>(offsets + ((<usize>s) << 2), 4);
    let nextValue = lastValues != 0 ? load<f64>(lastValues + ((<usize>s) << 3)) : 0.0;
    let carried: f64 = 0;
    for (let t = end - 1; t >= begin; t--) {
      const at = (<usize>t) << 3;
      if (mask != 0 && load<u8>(mask + t) == 0) {
        store<f64>(advantages + at, 0);
        store<f64>(returns + at, 0);
        continue;
      }
      const value = load<f64>(values + at);
      const alive: f64 = dones != 0 && load<u8>(dones + t) != 0 ? 0.0 : 1.0;
      // A branch, not a product: what lies beyond an end may be anything.
      const delta = load<f64>(rewards + at) - value + (alive != 0 ? gamma * nextValue : 0.0);
      carried = delta + (alive != 0 ? gamma * lambda * carried : 0.0);
      nextValue = value;
      store<f64>(advantages + at, carried);
      store<f64>(returns + at, carried + value);
    }
  }
}

/** R_t = r_t + gamma R_{t+1} backward over each row; mask-0 positions get 0 and pass R through. */
export function discounted_returns(out: usize, rewards: usize, offsets: usize, mask: usize, rows: u32, gamma: f64): void {
  for (let s: u32 = 0; s < rows; s++) {
    const begin = <i32>load<u32>(offsets + ((<usize>s) << 2));
    const end = <i32>load<u32>(offsets + ((<usize>s) << 2), 4);
    let carried: f64 = 0;
    for (let t = end - 1; t >= begin; t--) {
      const at = (<usize>t) << 3;
      if (mask != 0 && load<u8>(mask + t) == 0) {
        store<f64>(out + at, 0);
        continue;
      }
      carried = load<f64>(rewards + at) + gamma * carried;
      store<f64>(out + at, carried);
    }
  }
}

/** w = (x - mean) / sqrt(var + epsilon) over mask 1 (mean added back unless shiftMean); mask 0 gives 0. Returns the count. */
export function whiten(out: usize, x: usize, mask: usize, n: u32, ddof: u32, shiftMean: u32, epsilon: f64): u32 {
  let count: u32 = 0;
  let sum: f64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    if (mask != 0 && load<u8>(mask + i) == 0) continue;
    count += 1;
    sum += load<f64>(x + ((<usize>i) << 3));
  }
  if (count <= ddof) return count;
  const mean = sum / <f64>count;
  let squares: f64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    if (mask != 0 && load<u8>(mask + i) == 0) continue;
    const d = load<f64>(x + ((<usize>i) << 3)) - mean;
    squares += d * d;
  }
  const scale = 1.0 / NativeMath.sqrt(squares / <f64>(count - ddof) + epsilon);
  const back = shiftMean != 0 ? 0.0 : mean;
  for (let i: u32 = 0; i < n; i++) {
    const at = (<usize>i) << 3;
    const counts = mask == 0 || load<u8>(mask + i) != 0;
    store<f64>(out + at, counts ? (load<f64>(x + at) - mean) * scale + back : 0.0);
  }
  return count;
}
