/** Reference of gated activations. */
import { GATE_KINDS, gatedActivation } from "../ops/gated-activation";
import { geluTanh, geluTanhDerivative, silu, siluDerivative } from "./elementwise";
import { implement } from "./implement";

export const gatedActivationReference = [
  implement<"gu" | "y", "N" | "F" | "kind">(gatedActivation.forward, ({ gu, y }, { N, F, kind }) => {
    const act = kind === GATE_KINDS.silu ? silu : geluTanh;
    for (let n = 0; n < N; n++) {
      for (let f = 0; f < F; f++) y[n * F + f] = act(gu[n * 2 * F + f]!) * gu[n * 2 * F + F + f]!;
    }
  }),
  // dgate = dy up act'(gate),  dup = dy act(gate)
  implement<"dy" | "gu" | "dgu", "N" | "F" | "kind">(gatedActivation.backward, ({ dy, gu, dgu }, { N, F, kind }) => {
    const act = kind === GATE_KINDS.silu ? silu : geluTanh;
    const derivative = kind === GATE_KINDS.silu ? siluDerivative : geluTanhDerivative;
    for (let n = 0; n < N; n++) {
      for (let f = 0; f < F; f++) {
        const gate = gu[n * 2 * F + f]!;
        const up = gu[n * 2 * F + F + f]!;
        dgu[n * 2 * F + f] = dy[n * F + f]! * up * derivative(gate);
        dgu[n * 2 * F + F + f] = dy[n * F + f]! * act(gate);
      }
    }
  }),
];
