/** Products on a grid of blocks, and the plans of matmul. */
import type { Phase } from "../pool";
import { type Plan, phase } from "./plan";

/** Columns of a packed panel (PANEL of assembly/lib/gemm.ts), rows of a tile, most rows and columns of a block. */
export const PANEL = 16;
const TILE_ROWS = 4;
const MAX_ROW_BLOCK = 240;
const MAX_COLUMN_BLOCK = 192;
/** Columns over which the copy of a left operand read by columns is spread. */
const COPY_COLUMNS = 192;
/** Nanoseconds of one multiply-add, and the work of a block below which it is not cut further. */
export const FMA_NS = 0.05;
const BLOCK_NS = 40_000;
/** Blocks wanted, so that eight threads find work; the cut never depends on how many there are. */
const WANTED_BLOCKS = 16;

/** C (M, N) = A·B over K on a grid of blocks; strides in bytes. */
interface Product {
  readonly a: number;
  readonly ai: number;
  readonly ak: number;
  readonly b: number;
  readonly ldb: number;
  readonly bTransposed: boolean;
  readonly bias?: number;
  readonly addend?: number;
  readonly accumulate?: boolean;
  readonly c: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

export function blocks({ a, ai, ak, b, ldb, bTransposed, bias = 0, addend = 0, accumulate = false, c, M, N, K }: Product): Phase {
  const even = (size: number, most: number, unit: number) => Math.ceil(size / Math.max(1, Math.ceil(size / most)) / unit) * unit || unit;
  const rowBlock = even(M, MAX_ROW_BLOCK, TILE_ROWS);
  const rowBlocks = Math.ceil(M / rowBlock);
  // Narrow enough for parallelism, wide enough to be worth a grain.
  const columnsForWork = BLOCK_NS / (rowBlock * K * FMA_NS);
  const columnsForThreads = (N * rowBlocks) / WANTED_BLOCKS;
  const columnBlock = even(
    N,
    Math.min(MAX_COLUMN_BLOCK, Math.max(ai === 4 ? COPY_COLUMNS : PANEL, columnsForThreads, columnsForWork)),
    PANEL,
  );
  const items = rowBlocks * Math.ceil(N / columnBlock);
  const args = [a, ai, ak, b, ldb, Number(bTransposed), bias, addend, Number(accumulate), c, M, N, K, rowBlock, columnBlock];
  return phase("matmul__blocks", args, items, Math.max(1, rowBlock * columnBlock * K * FMA_NS));
}

/** Rows up to which outputs are dot products along K and weights are read once, unpacked. */
const FEW_ROWS = 32;

/** y (M, N) = x (M, K) · wᵀ + bias + addend, w (N, K). */
export function forwardProduct(x: number, w: number, y: number, M: number, K: number, N: number, bias = 0, addend = 0): Phase {
  if (M <= FEW_ROWS) return phase("matmul__dots", [x, w, bias, addend, y, M, K, N], Math.ceil(N / 4), 4 * K * (0.06 + M * FMA_NS), 4);
  return blocks({ a: x, ai: 4 * K, ak: 4, b: w, ldb: 4 * K, bTransposed: true, bias, addend, c: y, M, N, K });
}

export const matmulForward: Plan = (call) => {
  const [x, w, y, bias, addend] = ["x", "w", "y", "bias", "addend"].map((name) => call.pointer(name)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return [forwardProduct(x, w, y, call.value("M"), call.value("K"), call.value("N"), bias, addend)];
};

export const matmulBackwardInput: Plan = (call) => {
  const [M, N, K] = [call.value("M"), call.value("N"), call.value("K")];
  const [dy, w, dx] = [call.pointer("dy"), call.pointer("w"), call.pointer("dx")];
  return [blocks({ a: dy, ai: 4 * N, ak: 4, b: w, ldb: 4 * K, bTransposed: false, c: dx, M, N: K, K: N })];
};

export const matmulBackwardWeight: Plan = (call) => {
  const [M, N, K] = [call.value("M"), call.value("N"), call.value("K")];
  const [dy, x, dw] = [call.pointer("dy"), call.pointer("x"), call.pointer("dw")];
  return [blocks({ a: dy, ai: 4, ak: 4 * N, b: x, ldb: 4 * K, bTransposed: false, accumulate: true, c: dw, M: N, N: K, K: M })];
};

/** out (columns) += Σ over the rows of a (rowCount, columns) matrix, in order. */
export function columnSums(matrix: number, out: number, rowCount: number, columns: number): Phase {
  return phase("matmul_backward_bias", [matrix, out, rowCount, columns], Math.ceil(columns / 16), rowCount * 4);
}
