/** Reference of linear layers of normed rows, and of their gated activations. */
import { GATE_KINDS } from "../ops/gated-activation";
import { normedMatmul } from "../ops/normed-matmul";
import { geluTanh, silu } from "./elementwise";
import { implement } from "./implement";
import { unpack } from "./packed-weight";

interface Inputs {
  readonly x: Float64Array;
  readonly gain: Float64Array;
  readonly w: Float64Array;
  readonly bias?: Float64Array;
  readonly y: Float64Array;
}

type Value = "M" | "K" | "eps" | "offset";

/** x̂ wᵀ + bias, w (rows, K). */
function product({ x, gain, w, bias }: Inputs, rows: number, { M, K, eps, offset }: Readonly<Record<Value, number>>): Float64Array {
  const result = new Float64Array(M * rows);
  for (let m = 0; m < M; m++) {
    const row = x.subarray(m * K, (m + 1) * K);
    const rstd = 1 / Math.sqrt(row.reduce((sum, value) => sum + value ** 2, 0) / K + eps);
    const normed = row.map((value, k) => (offset + gain[k]!) * value * rstd);
    for (let n = 0; n < rows; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += normed[k]! * w[n * K + k]!;
      result[m * rows + n] = sum + (bias?.[n] ?? 0);
    }
  }
  return result;
}

function gated(inputs: Inputs, values: Readonly<Record<Value | "F" | "kind", number>>): void {
  const { M, F, kind } = values;
  const act = kind === GATE_KINDS.silu ? silu : geluTanh;
  const rows = product(inputs, 2 * F, values);
  for (let m = 0; m < M; m++) {
    for (let f = 0; f < F; f++) inputs.y[m * F + f] = act(rows[m * 2 * F + f]!) * rows[m * 2 * F + F + f]!;
  }
}

export const normedMatmulReference = [
  implement<"x" | "gain" | "w" | "y", Value | "N", "bias">(normedMatmul.forward, (tensors, values) => {
    tensors.y.set(product(tensors, values.N, values));
  }),
  implement<"x" | "gain" | "w" | "y", Value | "F" | "kind", "bias">(normedMatmul.gated, gated),
  implement<"x" | "gain" | "w" | "y", Value | "N" | "W" | "format", "bias">(normedMatmul.packedForward, (tensors, values) => {
    const { N, K, W, format } = values;
    tensors.y.set(product({ ...tensors, w: unpack(tensors.w, N, K, W, format) }, N, values));
  }),
  implement<"x" | "gain" | "w" | "y", Value | "F" | "W" | "kind" | "format", "bias">(normedMatmul.packedGated, (tensors, values) => {
    const { F, K, W, format } = values;
    gated({ ...tensors, w: unpack(tensors.w, 2 * F, K, W, format) }, values);
  }),
];
