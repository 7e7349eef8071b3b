/** Row lookup and its scatter. Items are rows of y, or distinct rows of the table. */
import { loadTail, storeTail } from "../lib/simd";

/**
 * An id of another part of the table leaves its row as it is. The first part gives it a row of NaN, so that an id beyond all parts is visible: never
 * a leftover, nor a read outside the buffer.
 */
export function embedding_forward(table: usize, ids: usize, y: usize, V: u32, C: u32, N: u32, first: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  for (let n = begin; n < end; n++) {
    const id = load<u32>(ids + (n << 2)) - first;
    const out = y + n * row;
    if (id < V) memory.copy(out, table + id * row, row);
    else if (first == 0) for (let c: usize = 0; c < row; c += 4) store<f32>(out + c, NaN);
  }
}

export function embedding_backward(dy: usize, order: usize, rows: usize, starts: usize, dtable: usize, N: u32, C: u32, U: u32, V: u32, first: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  const whole: usize = (C & ~3) << 2;
  const tail = C & 3;
  for (let u = begin; u < end; u++) {
    const id = load<u32>(rows + (u << 2)) - first;
    if (id >= V) continue;
    const out = dtable + id * row;
    const last = load<u32>(starts + (u << 2), 4);
    for (let i = load<u32>(starts + (u << 2)); i < last; i++) {
      const g = dy + load<u32>(order + (i << 2)) * row;
      let c: usize = 0;
      for (; c < whole; c += 16) v128.store(out + c, f32x4.add(v128.load(out + c), v128.load(g + c)));
      if (tail) storeTail(out + c, f32x4.add(loadTail(out + c, tail), loadTail(g + c, tail)), tail);
    }
  }
}
