/** Gated activations (Shazeer 2020) on fused rows [gate | up]: y = act(gate) · up. */
import { defineOp } from "../contract";

/** Values of the `kind` scalar. gelu is the tanh approximation (`gelu_new`, `gelu_pytorch_tanh`). */
export const GATE_KINDS = { silu: 0, gelu_tanh: 1 } as const;
export type GateKind = keyof typeof GATE_KINDS;

export const gatedActivation = defineOp({
  forward: {
    name: "gated_activation_forward",
    in: { gu: "(N, 2 * F)" },
    out: { y: "(N, F)" },
    scalars: { kind: "u32" },
    flops: ({ N, F }) => 5 * N * F,
  },
  backward: {
    name: "gated_activation_backward",
    in: { dy: "(N, F)", gu: "(N, 2 * F)" },
    out: { dgu: "(N, 2 * F)" },
    scalars: { kind: "u32" },
    flops: ({ N, F }) => 12 * N * F,
  },
});
