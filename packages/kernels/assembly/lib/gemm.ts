/**
 * The inner loops of every product of matrices: 3x12 register tiles over panels of 12 columns.
 *
 * C (rows, cols) = initial + A · B, where element (i, k) of A lies at a + i·ai + k·ak (bytes: either operand order, no
 * packing) and row k of a panel of B lies at b + k·bs. Nine accumulators, three vectors of B, one of A and one product are
 * 14 registers: TurboFan has 15 on x64, and one accumulator spilled costs a third of the speed, which is why the tile is not
 * the usual 6x8. For the same reason the kernels are exported: inlined into a loop, they are unrolled and spill.
 */
import { fma } from "./simd";
import { threadScratch } from "./scratch";

/** Columns of a panel of B. */
export const PANEL: u32 = 12;
/** Bytes of a row of a packed panel. */
export const PANEL_BYTES: usize = 48;
/** Depth of a block: a packed panel of 256 rows is 12 KiB and stays in the first-level cache. */
export const DEPTH: u32 = 256;

/** Thread scratch used here: a packed panel, an edge tile, a row of zeros. Others start at GEMM_SCRATCH. */
const EDGE: usize = <usize>DEPTH * PANEL_BYTES;
const ZEROS: usize = EDGE + 3 * PANEL_BYTES;
export const GEMM_SCRATCH: usize = ZEROS + PANEL_BYTES + 64;

/** Rows 1 and 2 alias row 0 where `rows` is smaller; they are computed and not stored. Initial rows lie `is` apart (0: one row for all). */
export function kernel12(a: usize, ai: usize, ak: usize, b: usize, bs: usize, initial: usize, is: usize, c: usize, ldc: usize, k: u32, rows: u32): void {
  let a1 = a + (rows > 1 ? ai : 0);
  let a2 = a1 + (rows > 2 ? ai : 0);
  const i1 = initial + (rows > 1 ? is : 0);
  const i2 = i1 + (rows > 2 ? is : 0);
  const end = b + k * bs;
  let c00 = v128.load(initial), c01 = v128.load(initial, 16), c02 = v128.load(initial, 32);
  let c10 = v128.load(i1), c11 = v128.load(i1, 16), c12 = v128.load(i1, 32);
  let c20 = v128.load(i2), c21 = v128.load(i2, 16), c22 = v128.load(i2, 32);
  while (b != end) {
    const b2 = v128.load(b, 32), b1 = v128.load(b, 16), b0 = v128.load(b);
    const x2 = v128.load32_splat(a2);
    c22 = fma(x2, b2, c22); c21 = fma(x2, b1, c21); c20 = fma(x2, b0, c20);
    const x1 = v128.load32_splat(a1);
    c12 = fma(x1, b2, c12); c11 = fma(x1, b1, c11); c10 = fma(x1, b0, c10);
    const x0 = v128.load32_splat(a);
    c02 = fma(x0, b2, c02); c01 = fma(x0, b1, c01); c00 = fma(x0, b0, c00);
    a += ak; a1 += ak; a2 += ak; b += bs;
  }
  v128.store(c, c00); v128.store(c, c01, 16); v128.store(c, c02, 32);
  if (rows > 1) {
    c += ldc;
    v128.store(c, c10); v128.store(c, c11, 16); v128.store(c, c12, 32);
  }
  if (rows > 2) {
    c += ldc;
    v128.store(c, c20); v128.store(c, c21, 16); v128.store(c, c22, 32);
  }
}

export function kernel8(a: usize, ai: usize, ak: usize, b: usize, bs: usize, initial: usize, is: usize, c: usize, ldc: usize, k: u32, rows: u32): void {
  let a1 = a + (rows > 1 ? ai : 0);
  let a2 = a1 + (rows > 2 ? ai : 0);
  const i1 = initial + (rows > 1 ? is : 0);
  const i2 = i1 + (rows > 2 ? is : 0);
  const end = b + k * bs;
  let c00 = v128.load(initial), c01 = v128.load(initial, 16);
  let c10 = v128.load(i1), c11 = v128.load(i1, 16);
  let c20 = v128.load(i2), c21 = v128.load(i2, 16);
  while (b != end) {
    const b1 = v128.load(b, 16), b0 = v128.load(b);
    const x2 = v128.load32_splat(a2);
    c21 = fma(x2, b1, c21); c20 = fma(x2, b0, c20);
    const x1 = v128.load32_splat(a1);
    c11 = fma(x1, b1, c11); c10 = fma(x1, b0, c10);
    const x0 = v128.load32_splat(a);
    c01 = fma(x0, b1, c01); c00 = fma(x0, b0, c00);
    a += ak; a1 += ak; a2 += ak; b += bs;
  }
  v128.store(c, c00); v128.store(c, c01, 16);
  if (rows > 1) {
    c += ldc;
    v128.store(c, c10); v128.store(c, c11, 16);
  }
  if (rows > 2) {
    c += ldc;
    v128.store(c, c20); v128.store(c, c21, 16);
  }
}

export function kernel4(a: usize, ai: usize, ak: usize, b: usize, bs: usize, initial: usize, is: usize, c: usize, ldc: usize, k: u32, rows: u32): void {
  let a1 = a + (rows > 1 ? ai : 0);
  let a2 = a1 + (rows > 2 ? ai : 0);
  const i1 = initial + (rows > 1 ? is : 0);
  const i2 = i1 + (rows > 2 ? is : 0);
  const end = b + k * bs;
  let c00 = v128.load(initial);
  let c10 = v128.load(i1);
  let c20 = v128.load(i2);
  while (b != end) {
    const b0 = v128.load(b);
    c20 = fma(v128.load32_splat(a2), b0, c20);
    c10 = fma(v128.load32_splat(a1), b0, c10);
    c00 = fma(v128.load32_splat(a), b0, c00);
    a += ak; a1 += ak; a2 += ak; b += bs;
  }
  v128.store(c, c00);
  if (rows > 1) v128.store(c + ldc, c10);
  if (rows > 2) v128.store(c + 2 * ldc, c20);
}

/** One panel: C (rows, cols <= 12) = initial + A (rows, k) · panel (k, 12). Reads up to 12 columns of `initial`, writes only `cols`. */
export function panelProduct(a: usize, ai: usize, ak: usize, b: usize, bs: usize, initial: usize, is: usize, c: usize, ldc: usize, rows: u32, cols: u32, k: u32): void {
  if (cols & 3) {
    const edge = threadScratch() + EDGE;
    for (let i: u32 = 0; i < rows; i += 3) {
      const m = min<u32>(3, rows - i);
      kernel12(a, ai, ak, b, bs, initial, is, edge, PANEL_BYTES, k, m);
      for (let r: u32 = 0; r < m; r++) memory.copy(c + r * ldc, edge + r * PANEL_BYTES, cols << 2);
      a += 3 * ai;
      initial += 3 * is;
      c += 3 * ldc;
    }
  } else if (cols == 12) {
    for (let i: u32 = 0; i < rows; i += 3, a += 3 * ai, initial += 3 * is, c += 3 * ldc) kernel12(a, ai, ak, b, bs, initial, is, c, ldc, k, rows - i);
  } else if (cols == 8) {
    for (let i: u32 = 0; i < rows; i += 3, a += 3 * ai, initial += 3 * is, c += 3 * ldc) kernel8(a, ai, ak, b, bs, initial, is, c, ldc, k, rows - i);
  } else {
    for (let i: u32 = 0; i < rows; i += 3, a += 3 * ai, initial += 3 * is, c += 3 * ldc) kernel4(a, ai, ak, b, bs, initial, is, c, ldc, k, rows - i);
  }
}

/** A row of twelve zeros: `initial` of a product that overwrites. */
// @ts-ignore: decorator
@inline
export function zeros(): usize {
  const p = threadScratch() + ZEROS;
  v128.store(p, f32x4.splat(0));
  v128.store(p, f32x4.splat(0), 16);
  v128.store(p, f32x4.splat(0), 32);
  return p;
}

/** C (rows, cols) (+)= A · B for B in panels `panelStep` bytes apart: packed (bs 48) or straight from a row-major matrix (panelStep 48). */
export function product(a: usize, ai: usize, ak: usize, b: usize, panelStep: usize, bs: usize, c: usize, ldc: usize, rows: u32, cols: u32, k: u32, accumulate: bool): void {
  const zero = zeros();
  for (let j: u32 = 0; j < cols; j += PANEL, b += panelStep, c += PANEL_BYTES) {
    panelProduct(a, ai, ak, b, bs, accumulate ? c : zero, accumulate ? ldc : 0, c, ldc, rows, min<u32>(PANEL, cols - j), k);
  }
}

/** panel (k, 12) = columns of a row-major matrix: dst[i][j] = src[i·ld + j], zero from column `cols` on. */
export function packColumns(src: usize, ld: usize, dst: usize, cols: u32, k: u32): void {
  if (cols == PANEL) {
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
    for (let j: u32 = 0; j < cols; j++) store<f32>(dst + (j << 2), load<f32>(src + (j << 2)));
  }
}

/** Four rows of src become four columns of dst: the transposition inside the packing. */
function packFour(src: usize, ld: usize, dst: usize, k: u32): void {
  let p0 = src, p1 = src + ld, p2 = p1 + ld, p3 = p2 + ld;
  let i: u32 = 0;
  for (; i + 4 <= k; i += 4) {
    const r0 = v128.load(p0), r1 = v128.load(p1), r2 = v128.load(p2), r3 = v128.load(p3);
    const lo01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
    const hi01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
    const lo23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
    const hi23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
    v128.store(dst, v128.shuffle<f64>(lo01, lo23, 0, 2));
    v128.store(dst, v128.shuffle<f64>(lo01, lo23, 1, 3), 48);
    v128.store(dst, v128.shuffle<f64>(hi01, hi23, 0, 2), 96);
    v128.store(dst, v128.shuffle<f64>(hi01, hi23, 1, 3), 144);
    p0 += 16; p1 += 16; p2 += 16; p3 += 16; dst += 192;
  }
  for (; i < k; i++) {
    store<f32>(dst, load<f32>(p0));
    store<f32>(dst, load<f32>(p1), 4);
    store<f32>(dst, load<f32>(p2), 8);
    store<f32>(dst, load<f32>(p3), 12);
    p0 += 4; p1 += 4; p2 += 4; p3 += 4; dst += 48;
  }
}

/** panel (k, 12) = rows of a row-major matrix, transposed: dst[i][j] = src[j·ld + i], zero from column `cols` on. */
export function packRows(src: usize, ld: usize, dst: usize, cols: u32, k: u32): void {
  let j: u32 = 0;
  for (; j + 4 <= cols; j += 4) packFour(src + j * ld, ld, dst + (j << 2), k);
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

/** All panels of the transpose of src (cols, k): (⌈cols / 12⌉, k, 12). */
export function packRowPanels(src: usize, ld: usize, dst: usize, cols: u32, k: u32): void {
  for (let j: u32 = 0; j < cols; j += PANEL, src += PANEL * ld, dst += k * PANEL_BYTES) packRows(src, ld, dst, min<u32>(PANEL, cols - j), k);
}

/** dst (depth, pitch) = a block of a row-major matrix, its rows laid next to each other: no page or cache set is visited twice. */
function copyBlock(src: usize, ld: usize, dst: usize, pitch: usize, depth: u32): void {
  for (let i: u32 = 0; i < depth; i++, src += ld, dst += pitch) {
    for (let j: usize = 0; j < pitch; j += 16) v128.store(dst + j, v128.load(src + j));
  }
}

/** Most rows of a block whose left operand is read by columns: what thread scratch holds of it. */
export const COPIED_ROWS: u32 = 240;

/** One block of C, panels packed on the way: C (rows, cols) = initial + A · B, B row-major (bTransposed: its transpose is). */
export function blockProduct(a: usize, ai: usize, ak: usize, b: usize, ldb: usize, bTransposed: bool, initial: usize, is: usize, c: usize, ldc: usize, rows: u32, cols: u32, k: u32): void {
  const packed = threadScratch();
  const zero = zeros();
  for (let k0: u32 = 0; k0 < k; k0 += DEPTH) {
    const depth = min<u32>(DEPTH, k - k0);
    let ap = a + k0 * ak;
    let step = ak;
    if (ai == 4 && cols > PANEL) {
      step = ((rows + 3) & ~3) << 2;
      copyBlock(ap, ak, packed + GEMM_SCRATCH, step, depth);
      ap = packed + GEMM_SCRATCH;
    }
    for (let j: u32 = 0; j < cols; j += PANEL) {
      const n = min<u32>(PANEL, cols - j);
      if (bTransposed) packRows(b + j * ldb + (k0 << 2), ldb, packed, n, depth);
      else packColumns(b + k0 * ldb + (j << 2), ldb, packed, n, depth);
      const cp = c + (j << 2);
      if (k0) panelProduct(ap, ai, step, packed, PANEL_BYTES, cp, ldc, cp, ldc, rows, n, depth);
      else if (initial) panelProduct(ap, ai, step, packed, PANEL_BYTES, initial + (j << 2), is, cp, ldc, rows, n, depth);
      else panelProduct(ap, ai, step, packed, PANEL_BYTES, zero, 0, cp, ldc, rows, n, depth);
    }
  }
}
