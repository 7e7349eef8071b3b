/** Linear layers: y = x·wᵀ + bias + addend; dx = dy·w; dw += dyᵀ·x. The bias is in column-sums.ts. */
import { blockProduct, GEMM_SCRATCH } from "../lib/gemm";
import { F32, GROUP, unpackAlong } from "../lib/packed";
import { threadScratch } from "../lib/scratch";
import { dot, fma, loadTail, storeTail, sumRows, touch } from "../lib/simd";

/**
 * C (M, N) = [C or addend or 0] + bias + A·B on a grid of blocks: element (i, k) of A at a + i·ai + k·ak bytes, B row-major with ldb bytes a
 * row, or its transpose so; or in a `format` of low precision (lib/gemm.ts). All three products of a linear layer, and those of token-logprob, are
 * this one.
 */
export function matmul__blocks(a: usize, ai: usize, ak: usize, b: usize, ldb: usize, bTransposed: bool, format: u32, scales: usize, bias: usize, addend: usize, accumulate: bool, c: usize, M: u32, N: u32, K: u32, rowBlock: u32, columnBlock: u32, begin: u32, end: u32): void {
  const columns = (N + columnBlock - 1) / columnBlock;
  const ldc: usize = <usize>N << 2;
  for (let item = begin; item < end; item++) {
    const i = (item / columns) * rowBlock;
    const j = (item % columns) * columnBlock;
    const rows = min<u32>(rowBlock, M - i);
    const cols = min<u32>(columnBlock, N - j);
    const cp = c + i * ldc + (j << 2);
    let initial: usize = 0;
    let is: usize = 0;
    if (accumulate) {
      initial = cp;
      is = ldc;
    } else if (addend) {
      initial = addend + i * ldc + (j << 2);
      is = ldc;
      if (bias) {
        addRows(initial, bias + (j << 2), cp, ldc, rows, cols);
        initial = cp;
      }
    } else if (bias) {
      initial = bias + (j << 2);
    }
    blockProduct(a + i * ai, ai, ak, b, ldb, bTransposed, format, scales, j, initial, is, cp, ldc, rows, cols, K);
  }
}

/** c = addend + bias, row by row. */
function addRows(addend: usize, bias: usize, c: usize, ld: usize, rows: u32, cols: u32): void {
  for (let r: u32 = 0; r < rows; r++, addend += ld, c += ld) {
    let j: usize = 0;
    const whole: usize = (cols & ~3) << 2;
    for (; j < whole; j += 16) v128.store(c + j, f32x4.add(v128.load(addend + j), v128.load(bias + j)));
    if (cols & 3) storeTail(c + j, f32x4.add(loadTail(addend + j, cols & 3), loadTail(bias + j, cols & 3)), cols & 3);
  }
}

/** Two rows of x against four of w along k, nothing packed; steps are separated as in lib/gemm.ts, for the same reason. */
export function dots2(x0: usize, x1: usize, w: usize, ld: usize, K: u32, out: usize): void {
  let w1 = w + ld, w2 = w1 + ld, w3 = w2 + ld;
  let c00 = f32x4.splat(0), c01 = c00, c02 = c00, c03 = c00, c10 = c00, c11 = c00, c12 = c00, c13 = c00;
  const end = x0 + (K << 2);
  while (x0 != end) {
    {
      const a0 = v128.load(x0), a1 = v128.load(x1);
      const b0 = v128.load(w);
      c00 = fma(a0, b0, c00); c10 = fma(a1, b0, c10);
      const b1 = v128.load(w1);
      c01 = fma(a0, b1, c01); c11 = fma(a1, b1, c11);
      const b2 = v128.load(w2);
      c02 = fma(a0, b2, c02); c12 = fma(a1, b2, c12);
      const b3 = v128.load(w3);
      c03 = fma(a0, b3, c03); c13 = fma(a1, b3, c13);
    }
    if (x0 + 16 == end) break;
    {
      const a0 = v128.load(x0, 16), a1 = v128.load(x1, 16);
      const b0 = v128.load(w, 16);
      c00 = fma(a0, b0, c00); c10 = fma(a1, b0, c10);
      const b1 = v128.load(w1, 16);
      c01 = fma(a0, b1, c01); c11 = fma(a1, b1, c11);
      const b2 = v128.load(w2, 16);
      c02 = fma(a0, b2, c02); c12 = fma(a1, b2, c12);
      const b3 = v128.load(w3, 16);
      c03 = fma(a0, b3, c03); c13 = fma(a1, b3, c13);
    }
    if (x0 + 32 == end) break;
    {
      const a0 = v128.load(x0, 32), a1 = v128.load(x1, 32);
      const b0 = v128.load(w, 32);
      c00 = fma(a0, b0, c00); c10 = fma(a1, b0, c10);
      const b1 = v128.load(w1, 32);
      c01 = fma(a0, b1, c01); c11 = fma(a1, b1, c11);
      const b2 = v128.load(w2, 32);
      c02 = fma(a0, b2, c02); c12 = fma(a1, b2, c12);
      const b3 = v128.load(w3, 32);
      c03 = fma(a0, b3, c03); c13 = fma(a1, b3, c13);
    }
    if (x0 + 48 == end) break;
    {
      const a0 = v128.load(x0, 48), a1 = v128.load(x1, 48);
      const b0 = v128.load(w, 48);
      c00 = fma(a0, b0, c00); c10 = fma(a1, b0, c10);
      const b1 = v128.load(w1, 48);
      c01 = fma(a0, b1, c01); c11 = fma(a1, b1, c11);
      const b2 = v128.load(w2, 48);
      c02 = fma(a0, b2, c02); c12 = fma(a1, b2, c12);
      const b3 = v128.load(w3, 48);
      c03 = fma(a0, b3, c03); c13 = fma(a1, b3, c13);
    }
    x0 += 64; x1 += 64; w += 64; w1 += 64; w2 += 64; w3 += 64;
  }
  v128.store(out, sumRows(c00, c01, c02, c03));
  v128.store(out, sumRows(c10, c11, c12, c13), 16);
}

/** One row of x against four of w along k. */
export function dots1(x: usize, w: usize, ld: usize, K: u32, out: usize): void {
  let w1 = w + ld, w2 = w1 + ld, w3 = w2 + ld;
  let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
  for (const end = x + (K << 2); x != end; x += 16, w += 16, w1 += 16, w2 += 16, w3 += 16) {
    const a = v128.load(x);
    c0 = fma(a, v128.load(w), c0);
    c1 = fma(a, v128.load(w1), c1);
    c2 = fma(a, v128.load(w2), c2);
    c3 = fma(a, v128.load(w3), c3);
  }
  v128.store(out, sumRows(c0, c1, c2, c3));
}

/**
 * The few rows of a decoding step: items are groups of four outputs. Rows of w in low precision, ldw bytes apart with their scales `scales` bytes
 * into each, are unpacked into scratch.
 */
export function matmul__dots(x: usize, w: usize, ldw: usize, format: u32, scales: usize, bias: usize, addend: usize, y: usize, M: u32, K: u32, N: u32, begin: u32, end: u32): void {
  const row: usize = <usize>K << 2;
  const whole: u32 = K & ~3;
  const scratch = threadScratch();
  const unpacked = scratch + GEMM_SCRATCH;
  const ld: usize = format == F32 ? ldw : <usize>((K + GROUP - 1) & ~(GROUP - 1)) << 2;
  for (let group = begin; group < end; group++) {
    const n = group << 2;
    const count = min<u32>(4, N - n);
    let wp = w + n * ldw;
    touch(wp, count * ldw);
    if (format != F32) {
      for (let c: u32 = 0; c < count; c++) unpackAlong(format, wp + c * ldw, scales, 0, K, unpacked + c * ld);
      wp = unpacked;
    }
    const b = bias ? (count == 4 ? v128.load(bias + (n << 2)) : loadTail(bias + (n << 2), count)) : f32x4.splat(0);
    for (let m: u32 = 0; m < M; m += 2) {
      const x0 = x + m * row;
      const pair = m + 1 < M;
      const x1 = pair ? x0 + row : x0;
      let s0 = f32x4.splat(0);
      let s1 = s0;
      if (count == 4) {
        if (pair) dots2(x0, x1, wp, ld, whole, scratch);
        else dots1(x0, wp, ld, whole, scratch);
        s0 = v128.load(scratch);
        s1 = v128.load(scratch, 16);
      } else {
        for (let c: u32 = 0; c < count; c++) {
          store<f32>(scratch + (c << 2), dot(x0, wp + c * ld, whole));
          store<f32>(scratch + 16 + (c << 2), dot(x1, wp + c * ld, whole));
        }
        s0 = loadTail(scratch, count);
        s1 = loadTail(scratch + 16, count);
      }
      for (let k = whole; k < K; k++) {
        for (let c: u32 = 0; c < count; c++) {
          const wk = load<f32>(wp + c * ld + (k << 2));
          store<f32>(scratch + (c << 2), load<f32>(x0 + (k << 2)) * wk);
          store<f32>(scratch + 16 + (c << 2), load<f32>(x1 + (k << 2)) * wk);
        }
        s0 = f32x4.add(s0, v128.load(scratch));
        s1 = f32x4.add(s1, v128.load(scratch, 16));
      }
      finish(s0, b, addend, y, m * N + n, count);
      if (pair) finish(s1, b, addend, y, (m + 1) * N + n, count);
    }
  }
}

// @ts-ignore: decorator
@inline
function finish(s: v128, bias: v128, addend: usize, y: usize, at: u32, count: u32): void {
  const byte: usize = <usize>at << 2;
  let v = f32x4.add(s, bias);
  if (count == 4) {
    if (addend) v = f32x4.add(v, v128.load(addend + byte));
    v128.store(y + byte, v);
  } else {
    if (addend) v = f32x4.add(v, loadTail(addend + byte, count));
    storeTail(y + byte, v, count);
  }
}
