/** Conformance of AdamW and global-norm clipping. */
import { adamw } from "../../src/ops/adamw";
import type { Case, StatedTolerance, Values } from "../case";
import { EDGES, sweep, withValues } from "../sizes";

const sizes = [...sweep("N", EDGES, { N: 1 }), { N: 5003 }, { N: 70_000 }];

/** Large enough a step that a wrong update cannot hide in the weights. */
const HYPERPARAMETERS: Values = {
  Q: 2,
  lr: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-6,
  weight_decay: 0.1,
  correction1: 1 - 0.9 ** 3,
  correction2: 1 - 0.95 ** 3,
};

/** β1 m and (1 - β1) g' of about 0.1 may cancel. */
const FIRST_MOMENT: StatedTolerance = { atol: 3e-8, scale: "element", reason: "a moment may be tiny, and no element depends on another" };
const SECOND_MOMENT: StatedTolerance = { ...FIRST_MOMENT, atol: 1e-9 };
/** p is a difference of a weight and a step of about lr. */
const WEIGHTS: StatedTolerance = { atol: 1e-6, scale: "element", reason: "no element depends on another" };

const clip = { O: 1, Q: 2 };

export const adamwCases: Case[] = [
  { entry: adamw.sumSquares, name: "", sizes: withValues(sizes, { O: 1 }) },
  {
    entry: adamw.clip,
    name: "",
    sizes: [
      { ...clip, max_norm: 1 },
      { ...clip, max_norm: 100 },
      { ...clip, max_norm: 0 },
    ],
    inputs: () => ({ sum: [6.25] }),
    tolerance: { scale: "element", reason: "two separate numbers" },
  },
  {
    entry: adamw.clip,
    name: "zero gradient",
    sizes: [{ ...clip, max_norm: 1 }],
    inputs: () => ({ sum: [0] }),
  },
  ...[Number.POSITIVE_INFINITY, Number.NaN].flatMap((sum): Case[] =>
    [0, 1].map((max_norm) => ({
      entry: adamw.clip,
      name: `sum of ${sum}`,
      sizes: [{ ...clip, max_norm }],
      inputs: () => ({ sum: [sum] }),
      mayBeNaN: ["stats"],
    })),
  ),
  {
    entry: adamw.step,
    name: "",
    sizes: withValues(sizes, HYPERPARAMETERS),
    inputs: ({ draw }) => ({ stats: [4, 0.25], m: draw("m", { scale: 0.1 }), v: draw("v", { scale: 0.1 }).map((v) => v * v) }),
    tolerance: { p: WEIGHTS, m: FIRST_MOMENT, v: SECOND_MOMENT },
  },
  {
    entry: adamw.step,
    name: "skipped",
    sizes: withValues(sweep("N", [1, 5, 257], { N: 1 }), HYPERPARAMETERS),
    inputs: ({ draw, values }) => ({
      stats: [Number.NaN, 0],
      g: new Float32Array(values.N!).fill(Number.NaN),
      v: draw("v").map((v) => v * v),
    }),
    tolerance: { atol: 0, rtol: 0, reason: "a coefficient of 0 leaves everything as it is" },
  },
];
