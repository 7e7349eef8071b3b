/** RMS norm, linear layer and gated activation in one op, for passes that never go back: it keeps nothing of what lies between. */
import { GATE_KINDS, type GateKind, ops, WEIGHT_FORMATS } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { Parameter, Weight } from "./parameters";

export interface NormedLinearOptions {
  readonly eps: number;
  /** The norm is (offset + gain) x̂. Default 0. */
  readonly offset?: number | undefined;
  /** (out) */
  readonly bias?: Parameter | undefined;
  /** w then stacks gate and up rows, and y is act(gate) · up. */
  readonly gate?: GateKind | undefined;
}

/**
 * x (N, C), gain (C), w (out, C) -> (N, out), or (N, out / 2) with a gate: what rmsNorm, linear and gatedActivation give one after the other. Throws
 * TypeError on a tape that records.
 */
export function normedLinear(tape: Tape, x: Tensor, gain: Parameter, w: Weight, options: NormedLinearOptions): Tensor {
  if (tape.recording)
    throw new TypeError("normedLinear: the tape must not record, got one that does. Use rmsNorm, linear and gatedActivation.");
  const { eps, offset = 0, bias, gate } = options;
  const isPacked = "packed" in w;
  const [outputs] = w.shape as readonly [number, number];
  const y = tape.alloc([x.shape[0] as number, gate === undefined ? outputs : outputs / 2]);
  const tensors = { x, w: isPacked ? w.packed : w.value, gain: gain.value, bias: bias?.value, y };
  const { forward, gated, packedForward, packedGated } = ops.normedMatmul;
  const [plain, withGate] = isPacked ? [packedForward, packedGated] : [forward, gated];
  tape.run(gate === undefined ? plain : withGate, tensors, {
    eps,
    offset,
    ...(gate === undefined ? {} : { kind: GATE_KINDS[gate] }),
    ...(isPacked ? { format: WEIGHT_FORMATS[w.format].id } : {}),
  });
  return y;
}
