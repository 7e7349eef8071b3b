/** Products on a grid of blocks, and the plans of matmul. */
import { SCRATCH_BYTES } from "../layout";
import type { Phase } from "../pool";
import { type Plan, type PlanCall, phase } from "./plan";

/** Columns of a packed panel (PANEL of assembly/lib/gemm.ts), and what panels of 16 and of 12 columns both divide. */
export const PANEL = 16;
const COLUMN_UNIT = 48;
/** Rows that every tile divides; least and most rows of a block, with a copy of the left operand, which must fit the thread's scratch, and without; most columns. */
const TILE_ROWS = 12;
const COPIED_ROWS = [48, 264] as const;
const BLOCK_ROWS = [264, 516] as const;
const MAX_COLUMN_BLOCK = 192;
/** Nanoseconds of one multiply-add, and the work of a block below which it is not cut further. */
export const FMA_NS = 0.05;
const BLOCK_NS = 10_000;
/** Most blocks wanted, so that eight threads find work; the cut never depends on how many there are. */
const WANTED_BLOCKS = 16;

/** Rows in low precision: their format's id, and the bytes before their scales. */
export interface Packed {
  readonly format: number;
  readonly scales: number;
}
const UNPACKED: Packed = { format: 0, scales: 0 };

/** C (M, N) = A·B over K on a grid of blocks; strides in bytes. */
interface Product {
  readonly a: number;
  readonly ai: number;
  readonly ak: number;
  readonly b: number;
  readonly ldb: number;
  readonly bTransposed: boolean;
  /** B in low precision. */
  readonly packed?: Packed | undefined;
  readonly bias?: number;
  readonly addend?: number;
  readonly accumulate?: boolean;
  readonly c: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** `size` in equal pieces of at most `most`, a multiple of `unit` each and, where there are several, in number a multiple of `multiple`. */
function piece(size: number, most: number, unit: number, multiple = 1): number {
  const pieces = Math.ceil(size / most);
  return Math.ceil(size / (pieces > 1 ? Math.ceil(pieces / multiple) * multiple : 1) / unit) * unit || unit;
}

const clamp = (value: number, [least, most]: readonly [number, number]) => Math.min(most, Math.max(least, value));

export function blocks(product: Product): Phase {
  const { a, ai, ak, b, ldb, bTransposed, packed = UNPACKED, bias = 0, addend = 0, accumulate = false, c, M, N, K } = product;
  const isCopied = ai === 4;
  const wanted = Math.max(1, Math.min(isCopied ? WANTED_BLOCKS / 4 : WANTED_BLOCKS, (M * N * K * FMA_NS) / BLOCK_NS));
  // A left operand that is read by columns is copied for every block of columns, as the right one is packed for every block of rows: few, square
  // blocks. Others are cut by rows where there are too few columns, and in two where there are enough of both.
  const most = isCopied
    ? clamp(M / (2 * Math.max(1, Math.round(Math.sqrt((wanted * M) / N) / 2))), COPIED_ROWS)
    : clamp(Math.min(M / 2, (M * N) / (COLUMN_UNIT * wanted)), BLOCK_ROWS);
  const rowBlock = piece(M, most, TILE_ROWS, 2);
  const rowBlocks = Math.ceil(M / rowBlock);
  const columns = Math.max(PANEL, (N * rowBlocks) / wanted);
  const columnBlock = piece(N, isCopied ? columns : Math.min(MAX_COLUMN_BLOCK, columns), N < 2 * COLUMN_UNIT ? PANEL : COLUMN_UNIT);
  const items = rowBlocks * Math.ceil(N / columnBlock);
  const { format, scales } = packed;
  const args = [
    a,
    ai,
    ak,
    b,
    ldb,
    Number(bTransposed),
    format,
    scales,
    bias,
    addend,
    Number(accumulate),
    c,
    M,
    N,
    K,
    rowBlock,
    columnBlock,
  ];
  return phase("matmul__blocks", args, items, Math.max(1, rowBlock * columnBlock * K * FMA_NS));
}

/** Rows up to which outputs are dot products along K and weights are read once, unpacked; beyond, sums over k in order. */
export const FEW_ROWS = 32;

/** {@link Packed}, and the bytes of a whole row. */
export interface PackedRows extends Packed {
  readonly rowBytes: number;
}

/** A linear layer: pointers and sizes; `packed` where w is not in f32. */
interface Forward {
  readonly x: number;
  readonly w: number;
  readonly y: number;
  readonly bias?: number;
  readonly addend?: number;
  readonly M: number;
  readonly K: number;
  readonly N: number;
  readonly packed?: PackedRows | undefined;
}

/** Four unpacked rows must fit beside the panels in thread scratch. */
const UNPACKED_COLUMNS = SCRATCH_BYTES / 2 / 16;

/** y (M, N) = x (M, K) · wᵀ + bias + addend, w (N, K). */
export function forwardProduct({ x, w, y, bias = 0, addend = 0, M, K, N, packed }: Forward): Phase {
  const ldb = packed?.rowBytes ?? 4 * K;
  if (M <= FEW_ROWS && !(packed && K > UNPACKED_COLUMNS)) {
    const { format, scales } = packed ?? UNPACKED;
    const args = [x, w, ldb, format, scales, bias, addend, y, M, K, N];
    return phase("matmul__dots", args, Math.ceil(N / 4), 4 * K * (0.06 + M * FMA_NS), 4);
  }
  return blocks({ a: x, ai: 4 * K, ak: 4, b: w, ldb, bTransposed: true, packed, bias, addend, c: y, M, N, K });
}

/** The tensors and sizes of a linear layer's call. */
export const forwardOf = (call: PlanCall): Forward => ({
  x: call.pointer("x"),
  w: call.pointer("w"),
  y: call.pointer("y"),
  bias: call.pointer("bias"),
  addend: call.pointer("addend"),
  M: call.value("M"),
  K: call.value("K"),
  N: call.value("N"),
});

export const matmulForward: Plan = (call) => [forwardProduct(forwardOf(call))];

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
  return phase("matmul_backward_bias", [matrix, out, rowCount, columns], Math.ceil(columns / 16), rowCount * 1.2, 4);
}
