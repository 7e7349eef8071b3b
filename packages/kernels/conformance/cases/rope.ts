/** Conformance of rotary position embedding, both directions. */
import { rope } from "../../src/ops/rope";
import type { Case, InputContext, Values } from "../case";
import type { GradientCheck } from "../gradient";

/** P may be wider than heads · D, and D than 2 R: the rest (value heads, channels that are not rotated) must come through untouched. */
const shapes = [
  { N: 1, T: 1, R: 1, heads: 1, P: 2 },
  { N: 1, T: 3, R: 2, heads: 1, P: 4 },
  { N: 3, T: 7, R: 2, heads: 3, P: 16 },
  { N: 5, T: 9, R: 3, heads: 2, P: 18 },
  { N: 4, T: 5, R: 6, heads: 3, P: 48 },
  { N: 17, T: 17, R: 8, heads: 4, P: 80 },
  { N: 33, T: 64, R: 16, heads: 6, P: 256 },
  { N: 65, T: 100, R: 32, heads: 3, P: 257 },
  { N: 130, T: 40, R: 64, heads: 10, P: 1536 },
]
  .map((shape): Values => ({ ...shape, D: 2 * shape.R }))
  .concat([
    { N: 3, T: 7, R: 2, heads: 3, D: 6, P: 30 },
    { N: 17, T: 9, R: 12, heads: 2, D: 32, P: 128 },
  ]);

/** A table of real rotations, and positions that repeat and jump. */
function inputs({ values, random }: Pick<InputContext, "values" | "random">) {
  const { T, R, N } = values as Record<string, number> & { T: number; R: number; N: number };
  const angles = Array.from({ length: T * R }, (_, i) => Math.floor(i / R) * 0.1 ** ((i % R) / R));
  return {
    cos: angles.map(Math.cos),
    sin: angles.map(Math.sin),
    positions: Array.from({ length: N }, () => random.integer(T)),
  };
}

export const ropeCases: Case[] = [1, -1].map((direction) => ({
  entry: rope.rotate,
  name: direction === 1 ? "forward" : "backward",
  sizes: shapes.map((shape) => ({ ...shape, direction })),
  inputs,
}));

const values = { N: 3, T: 5, R: 2, heads: 2, D: 5, P: 12, direction: 1 };

export const ropeGradients: GradientCheck[] = [
  {
    name: "rope_rotate",
    covers: ["rope_rotate"],
    forward: rope.rotate,
    values,
    inputs: (random) => ({ ...inputs({ values, random }), x: Array.from({ length: values.N * values.P }, random.normal) }),
    outputs: ["x"],
    backward: ({ inputs, upstream, compute }) => ({ x: compute(rope.rotate, { ...inputs, x: upstream.x }, { direction: -1 }).x }),
  },
];
