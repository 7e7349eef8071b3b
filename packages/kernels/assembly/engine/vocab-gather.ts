/** One logit a row, and its scatter. Items are rows of hidden states, or distinct targets. */
import { dot, fma, loadTail, storeTail } from "../lib/simd";

/** A target beyond the vocabulary gives NaN: visible, and never a read outside the buffer. */
export function vocab_gather_forward(hidden: usize, head: usize, targets: usize, y: usize, N: u32, C: u32, V: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  for (let n = begin; n < end; n++) {
    const target = load<u32>(targets + (n << 2));
    store<f32>(y + (n << 2), target < V ? dot(hidden + n * row, head + target * row, C) : NaN);
  }
}

export function vocab_gather_backward_hidden(dy: usize, head: usize, targets: usize, dhidden: usize, N: u32, V: u32, C: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  const whole: usize = (C & ~3) << 2;
  const tail = C & 3;
  for (let n = begin; n < end; n++) {
    const target = load<u32>(targets + (n << 2));
    const from = head + target * row;
    const out = dhidden + n * row;
    if (target >= V) {
      for (let c: usize = 0; c < row; c += 4) store<f32>(out + c, NaN);
      continue;
    }
    const g = v128.load32_splat(dy + (n << 2));
    for (let c: usize = 0; c < whole; c += 16) v128.store(out + c, f32x4.mul(g, v128.load(from + c)));
    if (tail) storeTail(out + whole, f32x4.mul(g, loadTail(from + whole, tail)), tail);
  }
}

export function vocab_gather_backward_head(dy: usize, hidden: usize, order: usize, rows: usize, starts: usize, dhead: usize, N: u32, C: u32, U: u32, V: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  const whole: usize = (C & ~3) << 2;
  const tail = C & 3;
  for (let u = begin; u < end; u++) {
    const out = dhead + load<u32>(rows + (u << 2)) * row;
    const last = load<u32>(starts + (u << 2), 4);
    for (let i = load<u32>(starts + (u << 2)); i < last; i++) {
      const n = load<u32>(order + (i << 2));
      const g = v128.load32_splat(dy + (n << 2));
      const from = hidden + n * row;
      for (let c: usize = 0; c < whole; c += 16) v128.store(out + c, fma(g, v128.load(from + c), v128.load(out + c)));
      if (tail) storeTail(out + whole, fma(g, loadTail(from + whole, tail), loadTail(out + whole, tail)), tail);
    }
  }
}
