/** Gated activation of fused rows [gate | up]. */
import { GATE_KINDS, type GateKind, ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";

/** gu (N, 2 F) -> act(gate) · up (N, F) */
export function gatedActivation(tape: Tape, gu: Tensor, gate: GateKind): Tensor {
  const kind = GATE_KINDS[gate];
  const y = tape.alloc([gu.shape[0] as number, (gu.shape[1] as number) / 2]);
  tape.run(ops.gatedActivation.forward, { gu, y }, { kind });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    tape.addGrad(gu, (dgu) => tape.run(ops.gatedActivation.backward, { dy, gu, dgu }, { kind }));
  });
  return y;
}
