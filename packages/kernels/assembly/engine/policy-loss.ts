/** The clipped token surrogate with its KL term. f64 per token: there are few, and k3 cancels. */

/** The log-ratio is clamped to ± this before exp. */
const LOG_RATIO_LIMIT: f64 = 20;
const SUMS: u32 = 8;

/** Items are blocks of `block` tokens; block i leaves its eight sums in partials (items, 8) f64. */
export function policy_loss_fused__blocks(logps: usize, oldLogps: usize, refLogps: usize, advantages: usize, weights: usize, mask: usize, dlogps: usize, partials: usize, N: u32, epsilon_low: f64, epsilon_high: f64, delta: f64, beta: f64, block: u32, begin: u32, end: u32): void {
  for (let i = begin; i < end; i++) {
    let loss: f64 = 0, count: f64 = 0, k3Sum: f64 = 0, k1Sum: f64 = 0, low: f64 = 0, high: f64 = 0, ratio: f64 = 0, approxKl: f64 = 0;
    const last = min<u32>(N, (i + 1) * block);
    for (let n = i * block; n < last; n++) {
      const at: usize = n << 2;
      if (load<f32>(mask + at) == 0) {
        store<f32>(dlogps + at, 0);
        continue;
      }
      const logp = <f64>load<f32>(logps + at);
      const A = <f64>load<f32>(advantages + at);
      const weight = <f64>load<f32>(weights + at);
      const logRatio = logp - <f64>load<f32>(oldLogps + at);
      const r = NativeMath.expm1(min<f64>(max<f64>(logRatio, -LOG_RATIO_LIMIT), LOG_RATIO_LIMIT)) + 1;
      const slope = abs<f64>(logRatio) <= LOG_RATIO_LIMIT ? r : 0;

      const isCapped = delta != 0 && r > delta;
      const unclipped = A * (isCapped ? delta : r);
      const clipped = A * min<f64>(max<f64>(r, 1 - epsilon_low), 1 + epsilon_high);
      let value = -min<f64>(unclipped, clipped);
      let gradient = unclipped <= clipped && !isCapped ? -A * slope : 0;
      if (refLogps) {
        const d = <f64>load<f32>(refLogps + at) - logp;
        const growth = NativeMath.expm1(d);
        value += beta * (growth - d);
        gradient -= beta * growth;
        k3Sum += growth - d;
        k1Sum -= d;
      }
      store<f32>(dlogps + at, <f32>(weight * gradient));
      loss += weight * value;
      count += 1;
      if (r < 1 - epsilon_low && A < 0) low += 1;
      if (r > 1 + epsilon_high && A > 0) high += 1;
      ratio += r;
      approxKl += 0.5 * logRatio * logRatio;
    }
    const out = partials + i * SUMS * 8;
    store<f64>(out, loss);
    store<f64>(out, count, 8);
    store<f64>(out, k3Sum, 16);
    store<f64>(out, k1Sum, 24);
    store<f64>(out, low, 32);
    store<f64>(out, high, 40);
    store<f64>(out, ratio, 48);
    store<f64>(out, approxKl, 56);
  }
}

/** sums = Σ partials, in order. One item. */
export function policy_loss_fused__total(partials: usize, sums: usize, blocks: u32, begin: u32, end: u32): void {
  for (let q: u32 = 0; q < SUMS; q++) {
    let total: f64 = 0;
    for (let i: u32 = 0; i < blocks; i++) total += load<f64>(partials + ((i * SUMS + q) << 3));
    store<f32>(sums + (q << 2), <f32>total);
  }
}
