/** y = act(gate) · up on fused rows [gate | up]. Items are rows. */
import { constant, decay4, fma, loadTail, ONE, storeTail } from "../lib/simd";
import { gelu, geluDecay, geluSlope, silu } from "./elementwise";

// @ts-ignore: decorator
@inline
function forwardRow(kind: u32, gate: usize, up: usize, y: usize, F: u32): void {
  const whole: usize = (F & ~3) << 2;
  const tail = F & 3;
  let f: usize = 0;
  for (; f < whole; f += 16) {
    const g = v128.load(gate + f);
    v128.store(y + f, f32x4.mul(kind == 0 ? silu(g) : gelu(g), v128.load(up + f)));
  }
  if (tail) {
    const g = loadTail(gate + f, tail);
    storeTail(y + f, f32x4.mul(kind == 0 ? silu(g) : gelu(g), loadTail(up + f, tail)), tail);
  }
}

export function gated_activation_forward(gu: usize, y: usize, N: u32, F: u32, kind: u32, begin: u32, end: u32): void {
  const row: usize = F << 2;
  for (let n = begin; n < end; n++) {
    const gate = gu + 2 * n * row;
    if (kind == 0) forwardRow(0, gate, gate + row, y + n * row, F);
    else forwardRow(1, gate, gate + row, y + n * row, F);
  }
}

/** e^-u of act = gate · σ(u). */
// @ts-ignore: decorator
@inline
function decayOf(kind: u32, gate: v128): v128 {
  return kind == 0 ? decay4(gate) : geluDecay(gate);
}

/** dgate = dy up σ (1 + gate (1 - σ) u') and dup = dy gate σ: one exponential and one division serve both. */
// @ts-ignore: decorator
@inline
function backwardRow(kind: u32, dy: usize, gate: usize, up: usize, dgate: usize, dup: usize, F: u32): void {
  const one = constant(ONE);
  const whole: usize = (F & ~3) << 2;
  const tail = F & 3;
  let f: usize = 0;
  for (; f < whole; f += 16) {
    const g = v128.load(gate + f);
    const d = v128.load(dy + f);
    const decay = decayOf(kind, g);
    const s = f32x4.div(one, f32x4.add(one, decay));
    const rest = f32x4.mul(decay, s);
    v128.store(dup + f, f32x4.mul(d, f32x4.mul(g, s)));
    const slope = kind == 0 ? rest : f32x4.mul(rest, geluSlope(g));
    v128.store(dgate + f, f32x4.mul(f32x4.mul(d, v128.load(up + f)), f32x4.mul(s, fma(g, slope, one))));
  }
  if (tail) {
    const g = loadTail(gate + f, tail);
    const d = loadTail(dy + f, tail);
    const decay = decayOf(kind, g);
    const s = f32x4.div(one, f32x4.add(one, decay));
    const rest = f32x4.mul(decay, s);
    storeTail(dup + f, f32x4.mul(d, f32x4.mul(g, s)), tail);
    const slope = kind == 0 ? rest : f32x4.mul(rest, geluSlope(g));
    storeTail(dgate + f, f32x4.mul(f32x4.mul(d, loadTail(up + f, tail)), f32x4.mul(s, fma(g, slope, one))), tail);
  }
}

export function gated_activation_backward(dy: usize, gu: usize, dgu: usize, N: u32, F: u32, kind: u32, begin: u32, end: u32): void {
  const row: usize = F << 2;
  for (let n = begin; n < end; n++) {
    const g = dy + n * row;
    const gate = gu + 2 * n * row;
    const dgate = dgu + 2 * n * row;
    if (kind == 0) backwardRow(0, g, gate, gate + row, dgate, dgate + row, F);
    else backwardRow(1, g, gate, gate + row, dgate, dgate + row, F);
  }
}
