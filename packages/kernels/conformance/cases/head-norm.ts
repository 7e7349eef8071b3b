/** Conformance of the RMS norm of query and key heads. */
import { headNorm } from "../../src/ops/head-norm";
import type { Case, Values } from "../case";
import type { GradientCheck } from "../gradient";

const narrow = [
  { N: 1, H: 1, K: 1, D: 1 },
  { N: 1, H: 1, K: 1, D: 2 },
  { N: 3, H: 2, K: 1, D: 4 },
  { N: 5, H: 3, K: 3, D: 5 },
  { N: 4, H: 4, K: 2, D: 8 },
  { N: 7, H: 6, K: 2, D: 12 },
  { N: 17, H: 2, K: 2, D: 16 },
  { N: 9, H: 4, K: 1, D: 32 },
  { N: 65, H: 2, K: 1, D: 64 },
  { N: 3, H: 5, K: 5, D: 65 },
  { N: 130, H: 8, K: 2, D: 128 },
  { N: 1030, H: 1, K: 1, D: 4 },
].map(({ D, ...size }) => ({ ...size, A: D, B: D }));

/** Parts of two sizes: all query heads, all key heads. */
const wide: Values[] = [
  { N: 3, H: 1, K: 1, A: 12, B: 4 },
  { N: 17, H: 1, K: 1, A: 48, B: 24 },
  { N: 5, H: 1, K: 1, A: 300, B: 65 },
  { N: 9, H: 1, K: 1, A: 257, B: 257 },
  { N: 2, H: 3, K: 2, A: 5, B: 7 },
];

const sizes: Values[] = [...narrow, ...wide];

/** The backward pass reads what the forward pass saved. */
const EPS = 1e-6;

export const headNormCases: Case[] = [
  { entry: headNorm.forward, name: "", sizes: sizes.map((size) => ({ ...size, eps: EPS })) },
  {
    entry: headNorm.backward,
    name: "",
    sizes,
    inputs: ({ values, draw, compute }) => ({
      rstd: compute(headNorm.forward, { x: draw("x"), wq: draw("wq"), wk: draw("wk") }, { ...values, eps: EPS }).rstd!,
    }),
    tolerance: { atol: 2e-5, reason: "dx is a difference that cancels in short heads, times rstd" },
  },
];

const [N, H, K, A, B] = [3, 2, 1, 4, 3];

export const headNormGradients: GradientCheck[] = [
  {
    name: "head_norm_forward",
    covers: ["head_norm_backward"],
    forward: headNorm.forward,
    values: { N, H, K, A, B, eps: EPS },
    inputs: (random) => ({
      x: Array.from({ length: N * (H * A + 2 * K * B) }, random.normal),
      wq: Array.from({ length: A }, random.normal),
      wk: Array.from({ length: B }, random.normal),
    }),
    outputs: ["y"],
    backward: ({ inputs, outputs, upstream, compute }) => {
      const { dx, dwq, dwk } = compute(headNorm.backward, { ...inputs, dy: upstream.y, rstd: outputs.rstd });
      return { x: dx, wq: dwq, wk: dwk };
    },
  },
];
