/** Conformance of dropout: which elements stay is exact, what they become is not. */
import { dropout } from "../../src/ops/dropout";
import type { Case, Values } from "../case";
import type { GradientCheck } from "../gradient";
import { EDGES, sweep, withValues } from "../sizes";

const draw: Values = { seed_lo: 7, seed_hi: 0xfffffff0, stream: 3 };

export const dropoutCases: Case[] = [0, 0.05, 0.5, 0.9].map((rate) => ({
  entry: dropout.apply,
  name: `rate ${rate}`,
  sizes: withValues(sweep("N", [...EDGES, 5000], { N: 1 }), { ...draw, rate }),
  tolerance: { scale: "element", reason: "no element depends on another" },
}));

const values = { N: 40, ...draw, rate: 0.3 };

export const dropoutGradients: GradientCheck[] = [
  {
    name: "dropout_apply",
    covers: ["dropout_apply"],
    forward: dropout.apply,
    values,
    inputs: (random) => ({ x: Array.from({ length: values.N }, random.normal) }),
    outputs: ["y"],
    backward: ({ upstream, compute }) => ({ x: compute(dropout.apply, { x: upstream.y }).y }),
  },
];
