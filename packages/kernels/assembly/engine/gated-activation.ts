/** y = act(gate) · up on fused rows [gate | up]. Items are rows. */
import { loadTail, storeTail } from "../lib/simd";
import { gelu, geluDerivative, silu, siluDerivative } from "./elementwise";

// @ts-ignore: decorator
@inline
function act(kind: u32, x: v128): v128 {
  return kind == 0 ? silu(x) : gelu(x);
}

export function gated_activation_forward(gu: usize, y: usize, N: u32, F: u32, kind: u32, begin: u32, end: u32): void {
  const row: usize = F << 2;
  const whole: usize = (F & ~3) << 2;
  const tail = F & 3;
  for (let n = begin; n < end; n++) {
    const gate = gu + 2 * n * row;
    const up = gate + row;
    const out = y + n * row;
    let f: usize = 0;
    for (; f < whole; f += 16) v128.store(out + f, f32x4.mul(act(kind, v128.load(gate + f)), v128.load(up + f)));
    if (tail) storeTail(out + f, f32x4.mul(act(kind, loadTail(gate + f, tail)), loadTail(up + f, tail)), tail);
  }
}

export function gated_activation_backward(dy: usize, gu: usize, dgu: usize, N: u32, F: u32, kind: u32, begin: u32, end: u32): void {
  const row: usize = F << 2;
  const whole: usize = (F & ~3) << 2;
  const tail = F & 3;
  for (let n = begin; n < end; n++) {
    const g = dy + n * row;
    const gate = gu + 2 * n * row;
    const up = gate + row;
    const dgate = dgu + 2 * n * row;
    const dup = dgate + row;
    let f: usize = 0;
    for (; f < whole; f += 16) {
      const vd = v128.load(g + f);
      const vg = v128.load(gate + f);
      v128.store(dgate + f, f32x4.mul(f32x4.mul(vd, v128.load(up + f)), kind == 0 ? siluDerivative(vg) : geluDerivative(vg)));
      v128.store(dup + f, f32x4.mul(vd, act(kind, vg)));
    }
    if (tail) {
      const vd = loadTail(g + f, tail);
      const vg = loadTail(gate + f, tail);
      storeTail(dgate + f, f32x4.mul(f32x4.mul(vd, loadTail(up + f, tail)), kind == 0 ? siluDerivative(vg) : geluDerivative(vg)), tail);
      storeTail(dup + f, f32x4.mul(vd, act(kind, vg)), tail);
    }
  }
}
