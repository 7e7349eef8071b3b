/** Conformance of layer norm. */
import { layerNorm } from "../../src/ops/layer-norm";
import type { Case, Values } from "../case";
import type { GradientCheck } from "../gradient";
import { EDGES, sweep, withValues } from "../sizes";

const sizes: Values[] = [
  ...sweep("C", EDGES, { N: 3, C: 1 }),
  ...sweep("N", EDGES, { N: 1, C: 12 }),
  { N: 5, C: 1000 },
  { N: 130, C: 65 },
  { N: 1030, C: 3 },
];

/** The backward pass reads what the forward pass saved. */
const EPS = 1e-5;

export const layerNormCases: Case[] = [
  { entry: layerNorm.forward, name: "", sizes: withValues(sizes, { eps: EPS }) },
  {
    entry: layerNorm.forward,
    name: "far from zero",
    sizes: [{ N: 3, C: 130, eps: EPS }],
    inputs: ({ draw }) => ({ x: draw("x", { outlier: 3 }).map((x) => x + 1000) }),
    tolerance: { rtol: 5e-4, reason: "the mean itself is only known to 6e-5 at 1000; E[x²] - mean² would be off by far more" },
  },
  {
    entry: layerNorm.backward,
    name: "",
    sizes: [...withValues(sizes, { accumulate: 0 }), ...withValues(sizes.slice(-3), { accumulate: 1 }), { N: 3, C: 7, accumulate: 1 }],
    inputs: ({ values, draw, compute }) => {
      const { mean, rstd } = compute(
        layerNorm.forward,
        { x: draw("x"), w: draw("w"), b: new Float32Array(values.C!) },
        { ...values, eps: EPS },
      );
      return { mean: mean!, rstd: rstd! };
    },
    tolerance: { atol: 2e-4, reason: "rows of one channel cancel exactly, and their rstd is 1 / √eps = 316" },
  },
];

const [N, C] = [3, 5];

export const layerNormGradients: GradientCheck[] = [
  {
    name: "layer_norm_forward",
    covers: ["layer_norm_backward"],
    forward: layerNorm.forward,
    values: { N, C, eps: EPS },
    inputs: (random) => ({
      x: Array.from({ length: N * C }, random.normal),
      w: Array.from({ length: C }, random.normal),
      b: Array.from({ length: C }, random.normal),
    }),
    outputs: ["y"],
    backward: ({ inputs, outputs, upstream, compute }) => {
      const { dx, dw, db } = compute(
        layerNorm.backward,
        { ...inputs, dy: upstream.y, mean: outputs.mean, rstd: outputs.rstd, dx: new Array(N * C).fill(1) },
        { accumulate: 0 },
      );
      return { x: dx, w: dw, b: db };
    },
  },
];
