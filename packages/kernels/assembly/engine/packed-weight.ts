/** Rows of weights in low precision, in f32; products with them are those of matmul.ts. Items are rows of y. */
import { GEMM_SCRATCH } from "../lib/gemm";
import { GROUP, unpackAlong } from "../lib/packed";
import { threadScratch } from "../lib/scratch";

/** Weights unpacked at a time where a row has a part of a group. */
const PIECE: u32 = 1024;

/** An id beyond the table gives a row of NaN: visible, and never a read outside the buffer. */
export function packed_weight__rows(ids: usize, w: usize, ldw: usize, format: u32, scales: usize, y: usize, V: u32, K: u32, begin: u32, end: u32): void {
  const row: usize = <usize>K << 2;
  const whole: u32 = K & ~(GROUP - 1);
  const piece = threadScratch() + GEMM_SCRATCH;
  for (let n = begin; n < end; n++) {
    const id = load<u32>(ids + (n << 2));
    const out = y + n * row;
    if (id >= V) {
      for (let c: usize = 0; c < row; c += 4) store<f32>(out + c, NaN);
      continue;
    }
    const from = w + id * ldw;
    if (whole == K) {
      unpackAlong(format, from, scales, 0, K, out);
      continue;
    }
    // The last group reaches beyond the row.
    for (let k: u32 = 0; k < K; k += PIECE) {
      const count = min<u32>(PIECE, K - k);
      unpackAlong(format, from, scales, k, count, piece);
      memory.copy(out + (k << 2), piece, count << 2);
    }
  }
}
