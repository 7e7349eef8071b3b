/** Conformance of gated activations. */
import { GATE_KINDS, type GateKind, gatedActivation } from "../../src/ops/gated-activation";
import type { Case, Values } from "../case";
import type { GradientCheck } from "../gradient";
import { EDGES, sweep } from "../sizes";

const kinds = Object.keys(GATE_KINDS) as GateKind[];

const sizesOf = (kind: GateKind): Values[] =>
  [...sweep("F", EDGES, { N: 3, F: 1 }), { N: 1, F: 1000 }, { N: 65, F: 33 }, { N: 130, F: 96 }].map((size) => ({
    ...size,
    kind: GATE_KINDS[kind],
  }));

export const gatedActivationCases: Case[] = kinds.flatMap((kind): Case[] => {
  const shared = { name: kind, sizes: sizesOf(kind), tolerance: { scale: "element", reason: "no element depends on another" } } as const;
  return [
    { ...shared, entry: gatedActivation.forward },
    { ...shared, entry: gatedActivation.backward },
  ];
});

const [N, F] = [3, 4];

export const gatedActivationGradients: GradientCheck[] = kinds.map((kind) => ({
  name: `gated_activation_forward (${kind})`,
  covers: ["gated_activation_backward"],
  forward: gatedActivation.forward,
  values: { N, F, kind: GATE_KINDS[kind] },
  inputs: (random) => ({ gu: Array.from({ length: 2 * N * F }, random.normal) }),
  outputs: ["y"],
  backward: ({ inputs, upstream, compute }) => ({ gu: compute(gatedActivation.backward, { dy: upstream.y, gu: inputs.gu }).dgu }),
}));
