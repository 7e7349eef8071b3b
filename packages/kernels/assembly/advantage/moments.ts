/** Mean and standard deviation that skip NaN ("no reward") and do not cancel: two passes. */

export let count: u32 = 0;
export let mean: f64 = 0;
export let std: f64 = 0;

/** Over n f64 at x: sets count, mean and std; std is 0 where count <= ddof, and where all values are equal mean is that value. */
export function moments(x: usize, n: u32, ddof: u32): void {
  let c: u32 = 0;
  let sum: f64 = 0;
  let low: f64 = Infinity;
  let high: f64 = -Infinity;
  for (let i: u32 = 0; i < n; i++) {
    const v = load<f64>(x + ((<usize>i) << 3));
    if (v != v) continue;
    c += 1;
    sum += v;
    low = min(low, v);
    high = max(high, v);
  }
  count = c;
  // Equal values must have no spread at all: 0.1 + 0.1 + 0.1 is not 3 * 0.1.
  if (c == 0 || low == high) {
    mean = c == 0 ? 0 : low;
    std = 0;
    return;
  }
  const m = sum / <f64>c;
  let squares: f64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const v = load<f64>(x + ((<usize>i) << 3));
    if (v == v) squares += (v - m) * (v - m);
  }
  mean = m;
  std = c > ddof ? NativeMath.sqrt(squares / <f64>(c - ddof)) : 0;
}
