/** Plans of products with weights in low precision: those of matmul, with the weights unpacked on the way. */
import { codeWords, weightFormat } from "../../weight-formats";
import { blocks, forwardOf, forwardProduct, type PackedRows } from "./matmul";
import { type Plan, type PlanCall, phase } from "./plan";

/** How the rows of `w` lie, K weights each. */
export function packedRowsOf(call: PlanCall): PackedRows {
  const format = weightFormat(call.value("format"));
  return { format: format.id, scales: 4 * codeWords(format, call.value("K")), rowBytes: 4 * call.value("W") };
}

export const packedWeightForward: Plan = (call) => [forwardProduct({ ...forwardOf(call), packed: packedRowsOf(call) })];

export const packedWeightBackwardInput: Plan = (call) => {
  const [M, N, K] = [call.value("M"), call.value("N"), call.value("K")];
  const [dy, w, dx] = [call.pointer("dy"), call.pointer("w"), call.pointer("dx")];
  const packed = packedRowsOf(call);
  return [blocks({ a: dy, ai: 4 * N, ak: 4, b: w, ldb: packed.rowBytes, bTransposed: false, packed, c: dx, M, N: K, K: N })];
};

export const packedWeightRows: Plan = (call) => {
  const [N, V, K] = [call.value("N"), call.value("V"), call.value("K")];
  const [ids, w, y] = [call.pointer("ids"), call.pointer("w"), call.pointer("y")];
  const { rowBytes, format, scales } = packedRowsOf(call);
  return [phase("packed_weight__rows", [ids, w, rowBytes, format, scales, y, V, K], N, Math.max(1, 0.4 * K))];
};
