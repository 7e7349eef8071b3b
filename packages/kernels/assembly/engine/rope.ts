/** Rotary position embedding, in place; direction -1 turns back. Items are rows. */
import { fma } from "../lib/simd";

export function rope_rotate(cos: usize, sin: usize, positions: usize, x: usize, T: u32, R: u32, N: u32, P: u32, heads: u32, D: u32, direction: f32, begin: u32, end: u32): void {
  const half: usize = R << 2;
  const whole: usize = (R & ~3) << 2;
  const vs = f32x4.splat(direction);
  for (let n = begin; n < end; n++) {
    const position = load<u32>(positions + (n << 2));
    const c = cos + position * half;
    const s = sin + position * half;
    let p = x + ((n * P) << 2);
    for (let h: u32 = 0; h < heads; h++, p += D << 2) {
      let i: usize = 0;
      for (; i < whole; i += 16) {
        const low = v128.load(p + i);
        const high = v128.load(p + half + i);
        const vc = v128.load(c + i);
        const turn = f32x4.mul(v128.load(s + i), vs);
        v128.store(p + i, fma(low, vc, f32x4.neg(f32x4.mul(high, turn))));
        v128.store(p + half + i, fma(high, vc, f32x4.mul(low, turn)));
      }
      for (; i < half; i += 4) {
        const low = load<f32>(p + i);
        const high = load<f32>(p + half + i);
        const turn = load<f32>(s + i) * direction;
        store<f32>(p + i, low * load<f32>(c + i) - high * turn);
        store<f32>(p + half + i, high * load<f32>(c + i) + low * turn);
      }
    }
  }
}
