/** AdamW with global-norm clipping over flat buffers. Scalars come in f64, so that 1 - beta keeps its digits. */
import { fma, loadTail, storeTail } from "../lib/simd";

/** Items are blocks of `block` elements; block i leaves Σ g² in partials (items) f64. */
export function adamw_sum_squares__blocks(g: usize, partials: usize, N: u32, block: u32, begin: u32, end: u32): void {
  for (let i = begin; i < end; i++) {
    const last = min<u32>(N, (i + 1) * block);
    let n = i * block;
    let s0 = f64x2.splat(0);
    let s1 = s0;
    for (; n + 4 <= last; n += 4) {
      const v = v128.load(g + (n << 2));
      const low = f64x2.promote_low_f32x4(v);
      const high = f64x2.promote_low_f32x4(v128.shuffle<f64>(v, v, 1, 1));
      s0 = f64x2.add(s0, f64x2.mul(low, low));
      s1 = f64x2.add(s1, f64x2.mul(high, high));
    }
    s0 = f64x2.add(s0, s1);
    let total = f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1);
    for (; n < last; n++) {
      const v = <f64>load<f32>(g + (n << 2));
      total += v * v;
    }
    store<f64>(partials + (i << 3), total);
  }
}

/** sum += Σ partials, in order. One item. */
export function adamw_sum_squares__total(partials: usize, sum: usize, blocks: u32, begin: u32, end: u32): void {
  let total = <f64>load<f32>(sum);
  for (let i: u32 = 0; i < blocks; i++) total += load<f64>(partials + (i << 3));
  store<f32>(sum, <f32>total);
}

/** One item. */
export function adamw_clip(sum: usize, stats: usize, O: u32, Q: u32, max_norm: f64, begin: u32, end: u32): void {
  const norm = sqrt<f64>(<f64>load<f32>(sum));
  const clipped = max_norm == 0 ? 1.0 : min<f64>(1.0, max_norm / (norm + 1e-6));
  store<f32>(stats, <f32>norm);
  store<f32>(stats, isFinite<f64>(norm) ? <f32>clipped : <f32>0, 4);
}

/** Items are elements. */
export function adamw_step(g: usize, stats: usize, p: usize, m: usize, v: usize, N: u32, Q: u32, lr: f64, beta1: f64, beta2: f64, eps: f64, weight_decay: f64, correction1: f64, correction2: f64, begin: u32, end: u32): void {
  const coefficient = load<f32>(stats, 4);
  if (coefficient == 0) return;
  const vc = f32x4.splat(coefficient);
  const b1 = f32x4.splat(<f32>beta1);
  const r1 = f32x4.splat(<f32>(1 - beta1));
  const b2 = f32x4.splat(<f32>beta2);
  const r2 = f32x4.splat(<f32>(1 - beta2));
  const decay = f32x4.splat(<f32>(1 - lr * weight_decay));
  const rate = f32x4.splat(<f32>(-lr / correction1));
  const inverse2 = f32x4.splat(<f32>(1 / correction2));
  const ve = f32x4.splat(<f32>eps);
  let n = begin;
  for (; n + 4 <= end; n += 4) {
    const at: usize = n << 2;
    const vg = f32x4.mul(vc, v128.load(g + at));
    const vm = fma(r1, vg, f32x4.mul(b1, v128.load(m + at)));
    const vv = fma(f32x4.mul(r2, vg), vg, f32x4.mul(b2, v128.load(v + at)));
    const denominator = f32x4.add(f32x4.sqrt(f32x4.mul(vv, inverse2)), ve);
    v128.store(p + at, f32x4.add(f32x4.mul(v128.load(p + at), decay), f32x4.div(f32x4.mul(rate, vm), denominator)));
    v128.store(m + at, vm);
    v128.store(v + at, vv);
  }
  if (n < end) {
    const at: usize = n << 2;
    const count = end - n;
    const vg = f32x4.mul(vc, loadTail(g + at, count));
    const vm = fma(r1, vg, f32x4.mul(b1, loadTail(m + at, count)));
    const vv = fma(f32x4.mul(r2, vg), vg, f32x4.mul(b2, loadTail(v + at, count)));
    const denominator = f32x4.add(f32x4.sqrt(f32x4.mul(vv, inverse2)), ve);
    storeTail(p + at, f32x4.add(f32x4.mul(loadTail(p + at, count), decay), f32x4.div(f32x4.mul(rate, vm), denominator)), count);
    storeTail(m + at, vm, count);
    storeTail(v + at, vv, count);
  }
}
