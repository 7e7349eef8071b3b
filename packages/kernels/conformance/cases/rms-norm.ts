/** Conformance of root-mean-square norm. */
import { rmsNorm } from "../../src/ops/rms-norm";
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

export const rmsNormCases: Case[] = [
  {
    entry: rmsNorm.forward,
    name: "",
    sizes: withValues(sizes, { eps: EPS }),
  },
  {
    entry: rmsNorm.backward,
    name: "",
    sizes: [...withValues(sizes, { accumulate: 0 }), ...withValues(sizes.slice(-3), { accumulate: 1 }), { N: 3, C: 7, accumulate: 1 }],
    inputs: ({ values, draw, compute }) => ({
      rstd: compute(rmsNorm.forward, { x: draw("x"), w: draw("w") }, { ...values, eps: EPS }).rstd!,
    }),
    tolerance: { atol: 2e-5, reason: "dx is a difference that cancels exactly in rows of one channel, times rstd" },
  },
];

const [N, C] = [3, 5];

export const rmsNormGradients: GradientCheck[] = [
  {
    name: "rms_norm_forward",
    covers: ["rms_norm_backward"],
    forward: rmsNorm.forward,
    values: { N, C, eps: EPS },
    inputs: (random) => ({ x: Array.from({ length: N * C }, random.normal), w: Array.from({ length: C }, random.normal) }),
    outputs: ["y"],
    backward: ({ inputs, outputs, upstream, compute }) => {
      const { dx, dw } = compute(
        rmsNorm.backward,
        { dy: upstream.y, x: inputs.x, w: inputs.w, rstd: outputs.rstd, dx: new Array(N * C).fill(1) },
        { accumulate: 0 },
      );
      return { x: dx, w: dw };
    },
  },
];
