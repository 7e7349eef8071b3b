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

/** x̂ (M, K). */
function normedRows(call: PlanCall): { readonly rows: number; readonly phases: readonly Phase[] } {
  const [M, K, eps, offset] = [call.value("M"), call.value("K"), call.value("eps"), call.value("offset")];
  const rows = call.scratch(M * K * 4);
  const rstd = call.scratch(M * 4);
  const gain = offset === 0 ? call.pointer("gain") : call.scratch(K * 4);
  const norm = phase("rms_norm_forward", [call.pointer("x"), gain, rows, rstd, M, K, eps], M, K * NORM_NS);
  if (offset === 0) return { rows, phases: [norm] };
  const shift = phase("unary_forward", [call.pointer("gain"), gain, K, AFFINE, 1, offset], K, 1, 64);
  return { rows, phases: [shift, norm] };
}

const forward =
  (packedOf: (call: PlanCall) => PackedRows | undefined): Plan =>
  (call) => {
    const { rows, phases } = normedRows(call);
    const [M, K, N] = [call.value("M"), call.value("K"), call.value("N")];
    const pointers = { x: rows, w: call.pointer("w"), y: call.pointer("y"), bias: call.pointer("bias") };
    return [...phases, forwardProduct({ ...pointers, M, K, N, packed: packedOf(call) })];
  };

const gated =
  (packedOf: (call: PlanCall) => PackedRows | undefined): Plan =>
  (call) => {
    const { rows, phases } = normedRows(call);
    const [M, K, F] = [call.value("M"), call.value("K"), call.value("F")];
    const both = call.scratch(2 * M * F * 4);
    const pointers = { x: rows, w: call.pointer("w"), y: both, bias: call.pointer("bias") };
    return [
      ...phases,
      forwardProduct({ ...pointers, M, K, N: 2 * F, packed: packedOf(call) }),
      phase("gated_activation_forward", [both, call.pointer("y"), M, F, call.value("kind")], M, F * GATE_NS),
    ];
  };

const inF32 = () => undefined;

export const normedMatmulForward = forward(inF32);
export const normedMatmulGated = gated(inF32);
export const normedMatmulPackedForward = forward(packedRowsOf);
export const normedMatmulPackedGated = gated(packedRowsOf);
