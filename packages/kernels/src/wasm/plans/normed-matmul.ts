/** Plans of linear layers of normed rows: norm, product and gate one after the other, each as it is alone, on rows that live only as long as the call. */
import type { Phase } from "../pool";
import { forwardProduct, type PackedRows } from "./matmul";
import { packedRowsOf } from "./packed-weight";
import { type Plan, type PlanCall, phase } from "./plan";

/** Nanoseconds of norming, and of gating, one element. */
export const NORM_NS = 0.5;
export const GATE_NS = 2.5;

/** `affine` of UNARY_KINDS, with which the contracts of all ops would come into the bundle. */
const AFFINE = 0;

/** Room for x̂ (M, K), the factors of its rows and, with a gate, the product (M, 2 F) that it reads; and the phases that fill x̂. */
function normedRows(call: PlanCall, columns: number): { readonly rows: number; readonly product: number; readonly phases: Phase[] } {
  const M = call.value("M");
  const K = call.value("K");
  const offset = call.value("offset");
  const rows = call.scratch(M * (K + columns + 1) * 4);
  const product = rows + M * K * 4;
  const rstd = product + M * columns * 4;
  const phases: Phase[] = [];
  let gain = call.pointer("gain");
  if (offset !== 0) {
    const shifted = call.scratch(K * 4);
    phases.push(phase("unary_forward", [gain, shifted, K, AFFINE, 1, offset], K, 1, 64));
    gain = shifted;
  }
  phases.push(phase("rms_norm_forward", [call.pointer("x"), gain, rows, rstd, M, K, call.value("eps")], M, K * NORM_NS));
  return { rows, product, phases };
}

function product(call: PlanCall, x: number, y: number, N: number, packed: PackedRows | undefined): Phase {
  return forwardProduct({ x, w: call.pointer("w"), y, bias: call.pointer("bias"), M: call.value("M"), K: call.value("K"), N, packed });
}

const forward =
  (packedOf: (call: PlanCall) => PackedRows | undefined): Plan =>
  (call) => {
    const { rows, phases } = normedRows(call, 0);
    phases.push(product(call, rows, call.pointer("y"), call.value("N"), packedOf(call)));
    return phases;
  };

const gated =
  (packedOf: (call: PlanCall) => PackedRows | undefined): Plan =>
  (call) => {
    const M = call.value("M");
    const F = call.value("F");
    const { rows, product: both, phases } = normedRows(call, 2 * F);
    phases.push(product(call, rows, both, 2 * F, packedOf(call)));
    phases.push(phase("gated_activation_forward", [both, call.pointer("y"), M, F, call.value("kind")], M, F * GATE_NS));
    return phases;
  };

const inF32 = () => undefined;

export const normedMatmulForward = forward(inF32);
export const normedMatmulGated = gated(inF32);
export const normedMatmulPackedForward = forward(packedRowsOf);
export const normedMatmulPackedGated = gated(packedRowsOf);
