/**
 * The inner loops of every product of matrices: register tiles of 2x16, in the relaxed build also 3x12, over panels of 16 and 12 columns.
 *
 * C (rows, cols) = initial + A · B, where element (i, k) of A lies at a + i·ai + k·ak (bytes: either operand order, no
 * packing) and row k of a panel of B lies at b + k·bs.
 *
 * The shape and the form of the kernels answer to TurboFan, which has 15 vector registers on x64, orders arithmetic freely inside a basic block
 * (usually: all loads first) and spills what does not fit; one accumulator spilled costs a third of the speed. So a block holds one step of k,
 * whose 8 accumulators, 6 loads and one product are 15 registers in any order; steps are separated by a conditional exit, which nothing
 * crosses; and the kernels are exported, because inlined into a loop they are unrolled and spill. A fused multiply-add needs no register for
 * its product, so that the 9 accumulators and 6 loads of 3x12 fit too. They take four fifths of the instructions that 6x8 does, which has the higher peak: a
 * core that is shared with another thread keeps its multiply-adds, not its issue slots (docs/decisions has the measurements). A kernel goes down all
 * rows of a panel itself: a call costs as much as a depth of 3.
 */
import { F32, unpackAlong, unpackDown } from "./packed";
import { threadScratch } from "./scratch";
import { fma, touchRows } from "./simd";

/** Columns of a panel of B. */
export const PANEL: u32 = 16;
/** Bytes of a row of a packed panel. */
export const PANEL_BYTES: usize = 64;
/** Depth of a block: a packed panel of 256 rows is 16 KiB and stays in the first-level cache. */
export const DEPTH: u32 = 256;

/** Thread scratch used here: a packed panel, an edge tile, a row of zeros. Others start at GEMM_SCRATCH. */
const EDGE: usize = <usize>DEPTH * PANEL_BYTES;
const ZEROS: usize = EDGE + 4 * PANEL_BYTES;
export const GEMM_SCRATCH: usize = ZEROS + PANEL_BYTES + 64;

/** 12 columns, three rows at a time, for fused multiply-adds along rows of A (ak = 4). Rows beyond the last alias it and are not stored. */
export function kernel12(a: usize, ai: usize, b: usize, bs: usize, initial: usize, is: usize, c: usize, ldc: usize, k: u32, rows: u32): void {
  const end = b + k * bs;
  while (rows > 0) {
    let a0 = a;
    let a1 = a + (rows > 1 ? ai : 0);
    let a2 = a1 + (rows > 2 ? ai : 0);
    const i1 = initial + (rows > 1 ? is : 0);
    const i2 = i1 + (rows > 2 ? is : 0);
    let c00 = v128.load(initial), c01 = v128.load(initial, 16), c02 = v128.load(initial, 32);
    let c10 = v128.load(i1), c11 = v128.load(i1, 16), c12 = v128.load(i1, 32);
    let c20 = v128.load(i2), c21 = v128.load(i2, 16), c22 = v128.load(i2, 32);
    let p = b;
    while (p != end) {
      {
        const b0 = v128.load(p), b1 = v128.load(p, 16), b2 = v128.load(p, 32);
        const x0 = v128.load32_splat(a0);
        c00 = fma(x0, b0, c00); c01 = fma(x0, b1, c01); c02 = fma(x0, b2, c02);
        const x1 = v128.load32_splat(a1);
        c10 = fma(x1, b0, c10); c11 = fma(x1, b1, c11); c12 = fma(x1, b2, c12);
        const x2 = v128.load32_splat(a2);
        c20 = fma(x2, b0, c20); c21 = fma(x2, b1, c21); c22 = fma(x2, b2, c22);
      }
      p += bs;
      if (p == end) break;
      {
        const b0 = v128.load(p), b1 = v128.load(p, 16), b2 = v128.load(p, 32);
        const x0 = v128.load32_splat(a0, 4);
        c00 = fma(x0, b0, c00); c01 = fma(x0, b1, c01); c02 = fma(x0, b2, c02);
        const x1 = v128.load32_splat(a1, 4);
        c10 = fma(x1, b0, c10); c11 = fma(x1, b1, c11); c12 = fma(x1, b2, c12);
        const x2 = v128.load32_splat(a2, 4);
        c20 = fma(x2, b0, c20); c21 = fma(x2, b1, c21); c22 = fma(x2, b2, c22);
      }
      p += bs;
      if (p == end) break;
      {
        const b0 = v128.load(p), b1 = v128.load(p, 16), b2 = v128.load(p, 32);
        const x0 = v128.load32_splat(a0, 8);
        c00 = fma(x0, b0, c00); c01 = fma(x0, b1, c01); c02 = fma(x0, b2, c02);
        const x1 = v128.load32_splat(a1, 8);
        c10 = fma(x1, b0, c10); c11 = fma(x1, b1, c11); c12 = fma(x1, b2, c12);
        const x2 = v128.load32_splat(a2, 8);
        c20 = fma(x2, b0, c20); c21 = fma(x2, b1, c21); c22 = fma(x2, b2, c22);
      }
      p += bs;
      if (p == end) break;
      {
        const b0 = v128.load(p), b1 = v128.load(p, 16), b2 = v128.load(p, 32);
        const x0 = v128.load32_splat(a0, 12);
        c00 = fma(x0, b0, c00); c01 = fma(x0, b1, c01); c02 = fma(x0, b2, c02);
        const x1 = v128.load32_splat(a1, 12);
        c10 = fma(x1, b0, c10); c11 = fma(x1, b1, c11); c12 = fma(x1, b2, c12);
        const x2 = v128.load32_splat(a2, 12);
        c20 = fma(x2, b0, c20); c21 = fma(x2, b1, c21); c22 = fma(x2, b2, c22);
      }
      p += bs;
      a0 += 16; a1 += 16; a2 += 16;
    }
    v128.store(c, c00); v128.store(c, c01, 16); v128.store(c, c02, 32);
    if (rows < 2) return;
    c += ldc;
    v128.store(c, c10); v128.store(c, c11, 16); v128.store(c, c12, 32);
    if (rows < 3) return;
    c += ldc;
    v128.store(c, c20); v128.store(c, c21, 16); v128.store(c, c22, 32);
    a += 3 * ai; initial += 3 * is; c += ldc; rows -= 3;
  }
}

/** 16 columns, two rows at a time. A last single row is its own second, which is not stored. Initial rows lie `is` apart (0: one row for all). */
export function kernel16(a: usize, ai: usize, ak: usize, b: usize, bs: usize, initial: usize, is: usize, c: usize, ldc: usize, k: u32, rows: u32): void {
  const end = b + k * bs;
  while (rows > 0) {
    let p = b;
    let a0 = a;
    let a1 = a + (rows > 1 ? ai : 0);
    const i1 = initial + (rows > 1 ? is : 0);
    let c00 = v128.load(initial), c01 = v128.load(initial, 16), c02 = v128.load(initial, 32), c03 = v128.load(initial, 48);
    let c10 = v128.load(i1), c11 = v128.load(i1, 16), c12 = v128.load(i1, 32), c13 = v128.load(i1, 48);
    while (p != end) {
      {
        const b3 = v128.load(p, 48), b2 = v128.load(p, 32), b1 = v128.load(p, 16), b0 = v128.load(p);
        const x1 = v128.load32_splat(a1);
        c13 = fma(x1, b3, c13); c12 = fma(x1, b2, c12); c11 = fma(x1, b1, c11); c10 = fma(x1, b0, c10);
        const x0 = v128.load32_splat(a0);
        c03 = fma(x0, b3, c03); c02 = fma(x0, b2, c02); c01 = fma(x0, b1, c01); c00 = fma(x0, b0, c00);
      }
      a0 += ak; a1 += ak; p += bs;
      if (p == end) break;
      {
        const b3 = v128.load(p, 48), b2 = v128.load(p, 32), b1 = v128.load(p, 16), b0 = v128.load(p);
        const x1 = v128.load32_splat(a1);
        c13 = fma(x1, b3, c13); c12 = fma(x1, b2, c12); c11 = fma(x1, b1, c11); c10 = fma(x1, b0, c10);
        const x0 = v128.load32_splat(a0);
        c03 = fma(x0, b3, c03); c02 = fma(x0, b2, c02); c01 = fma(x0, b1, c01); c00 = fma(x0, b0, c00);
      }
      a0 += ak; a1 += ak; p += bs;
      if (p == end) break;
      {
        const b3 = v128.load(p, 48), b2 = v128.load(p, 32), b1 = v128.load(p, 16), b0 = v128.load(p);
        const x1 = v128.load32_splat(a1);
        c13 = fma(x1, b3, c13); c12 = fma(x1, b2, c12); c11 = fma(x1, b1, c11); c10 = fma(x1, b0, c10);
        const x0 = v128.load32_splat(a0);
        c03 = fma(x0, b3, c03); c02 = fma(x0, b2, c02); c01 = fma(x0, b1, c01); c00 = fma(x0, b0, c00);
      }
      a0 += ak; a1 += ak; p += bs;
      if (p == end) break;
      {
        const b3 = v128.load(p, 48), b2 = v128.load(p, 32), b1 = v128.load(p, 16), b0 = v128.load(p);
        const x1 = v128.load32_splat(a1);
        c13 = fma(x1, b3, c13); c12 = fma(x1, b2, c12); c11 = fma(x1, b1, c11); c10 = fma(x1, b0, c10);
        const x0 = v128.load32_splat(a0);
        c03 = fma(x0, b3, c03); c02 = fma(x0, b2, c02); c01 = fma(x0, b1, c01); c00 = fma(x0, b0, c00);
      }
      a0 += ak; a1 += ak; p += bs;
    }
    v128.store(c, c00); v128.store(c, c01, 16); v128.store(c, c02, 32); v128.store(c, c03, 48);
    if (rows < 2) return;
    c += ldc;
    v128.store(c, c10); v128.store(c, c11, 16); v128.store(c, c12, 32); v128.store(c, c13, 48);
    a += 2 * ai; initial += 2 * is; c += ldc; rows -= 2;
  }
}

/** 8 columns, four rows at a time: for what is left of a row of panels. Rows beyond the last alias it and are not stored. */
export function kernel8(a: usize, ai: usize, ak: usize, b: usize, bs: usize, initial: usize, is: usize, c: usize, ldc: usize, k: u32, rows: u32): void {
  const end = b + k * bs;
  while (rows > 0) {
    let p = b;
    let a0 = a;
    let a1 = a + (rows > 1 ? ai : 0);
    let a2 = a1 + (rows > 2 ? ai : 0);
    let a3 = a2 + (rows > 3 ? ai : 0);
    const i1 = initial + (rows > 1 ? is : 0);
    const i2 = i1 + (rows > 2 ? is : 0);
    const i3 = i2 + (rows > 3 ? is : 0);
    let c00 = v128.load(initial), c01 = v128.load(initial, 16);
    let c10 = v128.load(i1), c11 = v128.load(i1, 16);
    let c20 = v128.load(i2), c21 = v128.load(i2, 16);
    let c30 = v128.load(i3), c31 = v128.load(i3, 16);
    while (p != end) {
      {
        const b1 = v128.load(p, 16), b0 = v128.load(p);
        const x3 = v128.load32_splat(a3);
        c31 = fma(x3, b1, c31); c30 = fma(x3, b0, c30);
        const x2 = v128.load32_splat(a2);
        c21 = fma(x2, b1, c21); c20 = fma(x2, b0, c20);
        const x1 = v128.load32_splat(a1);
        c11 = fma(x1, b1, c11); c10 = fma(x1, b0, c10);
        const x0 = v128.load32_splat(a0);
        c01 = fma(x0, b1, c01); c00 = fma(x0, b0, c00);
      }
      a0 += ak; a1 += ak; a2 += ak; a3 += ak; p += bs;
      if (p == end) break;
      {
        const b1 = v128.load(p, 16), b0 = v128.load(p);
        const x3 = v128.load32_splat(a3);
        c31 = fma(x3, b1, c31); c30 = fma(x3, b0, c30);
        const x2 = v128.load32_splat(a2);
        c21 = fma(x2, b1, c21); c20 = fma(x2, b0, c20);
        const x1 = v128.load32_splat(a1);
        c11 = fma(x1, b1, c11); c10 = fma(x1, b0, c10);
        const x0 = v128.load32_splat(a0);
        c01 = fma(x0, b1, c01); c00 = fma(x0, b0, c00);
      }
      a0 += ak; a1 += ak; a2 += ak; a3 += ak; p += bs;
      if (p == end) break;
      {
        const b1 = v128.load(p, 16), b0 = v128.load(p);
        const x3 = v128.load32_splat(a3);
        c31 = fma(x3, b1, c31); c30 = fma(x3, b0, c30);
        const x2 = v128.load32_splat(a2);
        c21 = fma(x2, b1, c21); c20 = fma(x2, b0, c20);
        const x1 = v128.load32_splat(a1);
        c11 = fma(x1, b1, c11); c10 = fma(x1, b0, c10);
        const x0 = v128.load32_splat(a0);
        c01 = fma(x0, b1, c01); c00 = fma(x0, b0, c00);
      }
      a0 += ak; a1 += ak; a2 += ak; a3 += ak; p += bs;
      if (p == end) break;
      {
        const b1 = v128.load(p, 16), b0 = v128.load(p);
        const x3 = v128.load32_splat(a3);
        c31 = fma(x3, b1, c31); c30 = fma(x3, b0, c30);
        const x2 = v128.load32_splat(a2);
        c21 = fma(x2, b1, c21); c20 = fma(x2, b0, c20);
        const x1 = v128.load32_splat(a1);
        c11 = fma(x1, b1, c11); c10 = fma(x1, b0, c10);
        const x0 = v128.load32_splat(a0);
        c01 = fma(x0, b1, c01); c00 = fma(x0, b0, c00);
      }
      a0 += ak; a1 += ak; a2 += ak; a3 += ak; p += bs;
    }
    v128.store(c, c00); v128.store(c, c01, 16);
    if (rows < 2) return;
    c += ldc;
    v128.store(c, c10); v128.store(c, c11, 16);
    if (rows < 3) return;
    c += ldc;
    v128.store(c, c20); v128.store(c, c21, 16);
    if (rows < 4) return;
    c += ldc;
    v128.store(c, c30); v128.store(c, c31, 16);
    a += 4 * ai; initial += 4 * is; c += ldc; rows -= 4;
  }
}

/** One panel: C (rows, cols <= 16) = initial + A (rows, k) · panel (k, 16). Reads whole vectors of `initial` and B, writes only `cols`. */
export function panelProduct(a: usize, ai: usize, ak: usize, b: usize, bs: usize, initial: usize, is: usize, c: usize, ldc: usize, rows: u32, cols: u32, k: u32): void {
  if (ASC_FEATURE_RELAXED_SIMD && cols == 12 && ak == 4) {
    kernel12(a, ai, b, bs, initial, is, c, ldc, k, rows);
  } else if (cols == 16) {
    kernel16(a, ai, ak, b, bs, initial, is, c, ldc, k, rows);
  } else if (cols == 8) {
    kernel8(a, ai, ak, b, bs, initial, is, c, ldc, k, rows);
  } else {
    const edge = threadScratch() + EDGE;
    const height: u32 = cols < 8 ? 4 : 2;
    for (let i: u32 = 0; i < rows; i += height) {
      const m = min<u32>(height, rows - i);
      if (cols < 8) kernel8(a, ai, ak, b, bs, initial, is, edge, PANEL_BYTES, k, m);
      else kernel16(a, ai, ak, b, bs, initial, is, edge, PANEL_BYTES, k, m);
      for (let r: u32 = 0; r < m; r++) memory.copy(c + r * ldc, edge + r * PANEL_BYTES, cols << 2);
      a += height * ai;
      initial += height * is;
      c += height * ldc;
    }
  }
}

/** A row of zeros: `initial` of a product that overwrites. */
// @ts-ignore: decorator
@inline
export function zeros(): usize {
  const p = threadScratch() + ZEROS;
  v128.store(p, f32x4.splat(0));
  v128.store(p, f32x4.splat(0), 16);
  v128.store(p, f32x4.splat(0), 32);
  v128.store(p, f32x4.splat(0), 48);
  return p;
}

/** C (rows, cols) (+)= A · B for B in panels `panelStep` bytes apart: packed (bs 64) or straight from a row-major matrix (panelStep 64). */
export function product(a: usize, ai: usize, ak: usize, b: usize, panelStep: usize, bs: usize, c: usize, ldc: usize, rows: u32, cols: u32, k: u32, accumulate: bool): void {
  const zero = zeros();
  for (let j: u32 = 0; j < cols; j += PANEL, b += panelStep, c += PANEL_BYTES) {
    panelProduct(a, ai, ak, b, bs, accumulate ? c : zero, accumulate ? ldc : 0, c, ldc, rows, min<u32>(PANEL, cols - j), k);
  }
}

/** panel (k, 16) = columns of a row-major matrix: dst[i][j] = src[i·ld + j], zero from column `cols` on (of 12 columns the rest is left as it is). */
export function packColumns(src: usize, ld: usize, dst: usize, cols: u32, k: u32): void {
  if (cols == PANEL) {
    for (let i: u32 = 0; i < k; i++, src += ld, dst += PANEL_BYTES) {
      v128.store(dst, v128.load(src));
      v128.store(dst, v128.load(src, 16), 16);
      v128.store(dst, v128.load(src, 32), 32);
      v128.store(dst, v128.load(src, 48), 48);
    }
    return;
  }
  if (cols == 12) {
    for (let i: u32 = 0; i < k; i++, src += ld, dst += PANEL_BYTES) {
      v128.store(dst, v128.load(src));
      v128.store(dst, v128.load(src, 16), 16);
      v128.store(dst, v128.load(src, 32), 32);
    }
    return;
  }
  const zero = f32x4.splat(0);
  for (let i: u32 = 0; i < k; i++, src += ld, dst += PANEL_BYTES) {
    v128.store(dst, zero);
    v128.store(dst, zero, 16);
    v128.store(dst, zero, 32);
    v128.store(dst, zero, 48);
    for (let j: u32 = 0; j < cols; j++) store<f32>(dst + (j << 2), load<f32>(src + (j << 2)));
  }
}

/** Four rows of src (4, k) become four columns of dst, whose rows lie `pitch` bytes apart. */
function transposeFour(src: usize, ld: usize, dst: usize, pitch: usize, k: u32): void {
  let p0 = src, p1 = src + ld, p2 = p1 + ld, p3 = p2 + ld;
  let d1 = dst + pitch, d2 = d1 + pitch, d3 = d2 + pitch;
  let i: u32 = 0;
  for (; i + 4 <= k; i += 4) {
    const r0 = v128.load(p0), r1 = v128.load(p1), r2 = v128.load(p2), r3 = v128.load(p3);
    const lo01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
    const hi01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
    const lo23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
    const hi23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
    v128.store(dst, v128.shuffle<f64>(lo01, lo23, 0, 2));
    v128.store(d1, v128.shuffle<f64>(lo01, lo23, 1, 3));
    v128.store(d2, v128.shuffle<f64>(hi01, hi23, 0, 2));
    v128.store(d3, v128.shuffle<f64>(hi01, hi23, 1, 3));
    p0 += 16; p1 += 16; p2 += 16; p3 += 16;
    dst += 4 * pitch; d1 += 4 * pitch; d2 += 4 * pitch; d3 += 4 * pitch;
  }
  for (; i < k; i++) {
    store<f32>(dst, load<f32>(p0));
    store<f32>(dst, load<f32>(p1), 4);
    store<f32>(dst, load<f32>(p2), 8);
    store<f32>(dst, load<f32>(p3), 12);
    p0 += 4; p1 += 4; p2 += 4; p3 += 4; dst += pitch;
  }
}

/** panel (k, 16) = rows of a row-major matrix, transposed: dst[i][j] = src[j·ld + i], zero from column `cols` on. */
export function packRows(src: usize, ld: usize, dst: usize, cols: u32, k: u32): void {
  touchRows(src, ld, cols, k << 2);
  let j: u32 = 0;
  for (; j + 4 <= cols; j += 4) transposeFour(src + j * ld, ld, dst + (j << 2), PANEL_BYTES, k);
  for (; j < PANEL; j++) {
    let to = dst + (j << 2);
    if (j < cols) {
      let from = src + j * ld;
      for (let i: u32 = 0; i < k; i++, to += PANEL_BYTES, from += 4) store<f32>(to, load<f32>(from));
    } else {
      for (let i: u32 = 0; i < k; i++, to += PANEL_BYTES) store<f32>(to, 0);
    }
  }
}

/** Panels of a row-major matrix (k, cols), `step` bytes apart. */
export function packColumnPanels(src: usize, ld: usize, dst: usize, step: usize, cols: u32, k: u32): void {
  for (let j: u32 = 0; j < cols; j += PANEL, src += PANEL_BYTES, dst += step) packColumns(src, ld, dst, min<u32>(PANEL, cols - j), k);
}

/** dst (rows, pitch) = transpose of src (depth, rows): an operand read by columns would touch a cache line for every number. */
function transposeBlock(src: usize, ld: usize, dst: usize, pitch: usize, rows: u32, depth: u32): void {
  touchRows(src, ld, depth, rows << 2);
  let k: u32 = 0;
  for (; k + 4 <= depth; k += 4) {
    transposeFour(src + k * ld, ld, dst + (k << 2), pitch, rows);
  }
  for (; k < depth; k++) {
    let from = src + k * ld;
    let to = dst + (k << 2);
    for (let i: u32 = 0; i < rows; i++, from += 4, to += pitch) store<f32>(to, load<f32>(from));
  }
}

/** Bytes of a transposed row: not a power of two, so that rows spread over cache sets. 264 rows (COPIED_ROWS of the plans) are 281 KiB. */
const TRANSPOSED_BYTES: usize = <usize>(DEPTH << 2) + 64;

/** Thread scratch of 16 rows that are unpacked before they are transposed, behind a transposed block; rows as long, for the same reason. */
const UNPACKED: usize = GEMM_SCRATCH + 264 * TRANSPOSED_BYTES;
const UNPACKED_BYTES: usize = TRANSPOSED_BYTES;

/**
 * A right operand: row-major f32 with ldb bytes a row (bTransposed: its transpose is), or rows in a `format` of low precision, whose scales begin
 * `scales` bytes into each. panel (depth, 16) = its rows k0 .. k0 + depth of columns j .. j + cols; k0 is a multiple of 256, j of 16 where codes are unpacked down columns.
 */
function packPanel(b: usize, ldb: usize, bTransposed: bool, format: u32, scales: usize, j: u32, k0: u32, panel: usize, cols: u32, depth: u32): void {
  if (format == F32) {
    if (bTransposed) packRows(b + j * ldb + (k0 << 2), ldb, panel, cols, depth);
    else packColumns(b + k0 * ldb + (j << 2), ldb, panel, cols, depth);
  } else if (bTransposed) {
    const unpacked = threadScratch() + UNPACKED;
    for (let r: u32 = 0; r < cols; r++) unpackAlong(format, b + (j + r) * ldb, scales, k0, depth, unpacked + r * UNPACKED_BYTES);
    packRows(unpacked, UNPACKED_BYTES, panel, cols, depth);
  } else {
    unpackDown(format, b + k0 * ldb, ldb, scales, j, depth, panel);
  }
}

/** Columns of the next panel where `cols` are left: in the relaxed build 12 as soon as that divides them, except of rows that unpack by 16. */
// @ts-ignore: decorator
@inline
function panelWidth(cols: u32, isUnpackedDown: bool): u32 {
  return ASC_FEATURE_RELAXED_SIMD && !isUnpackedDown && cols % 12 == 0 ? 12 : min<u32>(PANEL, cols);
}

/** One block of C, panels packed on the way: C (rows, cols) = initial + A · B, of B the columns from j0 on; see {@link packPanel}. */
export function blockProduct(a: usize, ai: usize, ak: usize, b: usize, ldb: usize, bTransposed: bool, format: u32, scales: usize, j0: u32, initial: usize, is: usize, c: usize, ldc: usize, rows: u32, cols: u32, k: u32): void {
  const packed = threadScratch();
  const zero = zeros();
  for (let k0: u32 = 0; k0 < k; k0 += DEPTH) {
    const depth = min<u32>(DEPTH, k - k0);
    let ap = a + k0 * ak;
    let rowStep = ai;
    let step = ak;
    if (ai == 4 && cols > PANEL) {
      transposeBlock(ap, ak, packed + GEMM_SCRATCH, TRANSPOSED_BYTES, rows, depth);
      ap = packed + GEMM_SCRATCH;
      rowStep = TRANSPOSED_BYTES;
      step = 4;
    }
    let n: u32 = 0;
    for (let j: u32 = 0; j < cols; j += n) {
      n = panelWidth(cols - j, format != F32 && !bTransposed);
      packPanel(b, ldb, bTransposed, format, scales, j0 + j, k0, packed, n, depth);
      const cp = c + (j << 2);
      if (k0) panelProduct(ap, rowStep, step, packed, PANEL_BYTES, cp, ldc, cp, ldc, rows, n, depth);
      else if (initial) panelProduct(ap, rowStep, step, packed, PANEL_BYTES, initial + (j << 2), is, cp, ldc, rows, n, depth);
      else panelProduct(ap, rowStep, step, packed, PANEL_BYTES, zero, 0, cp, ldc, rows, n, depth);
    }
  }
}
