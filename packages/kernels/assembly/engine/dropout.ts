/** Dropout by counter. Items are elements. */
import { uniform } from "../lib/random";

export function dropout_apply(x: usize, y: usize, N: u32, rate: f32, seed_lo: u32, seed_hi: u32, stream: u32, begin: u32, end: u32): void {
  const gain: f32 = 1 / (1 - rate);
  for (let n = begin; n < end; n++) {
    const at: usize = n << 2;
    store<f32>(y + at, uniform(seed_lo, seed_hi, n, stream) >= rate ? load<f32>(x + at) * gain : 0);
  }
}
