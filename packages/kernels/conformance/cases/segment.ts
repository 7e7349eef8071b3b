/** Conformance of sums over ragged segments and their adjoint. */
import { segment } from "../../src/ops/segment";
import type { Case, Values } from "../case";
import type { GradientCheck } from "../gradient";
import type { Random } from "../random";

const sizes: Values[] = [
  { N: 1, S: 1 },
  { N: 5, S: 1 },
  { N: 7, S: 4 },
  { N: 64, S: 3 },
  { N: 65, S: 16 },
  { N: 130, S: 65 },
  { N: 257, S: 2 },
  { N: 1000, S: 97 },
  { N: 5, S: 300 },
];

/** S segments with gaps of unused rows before and after, some of them empty. */
function offsetsOf(values: Values, random: Random): number[] {
  const cuts = Array.from({ length: values.S! + 1 }, () => random.integer(values.N! + 1)).sort((a, b) => a - b);
  if (values.S === 1) return [0, values.N!];
  cuts[1] = cuts[0]!;
  return cuts;
}

export const segmentCases: Case[] = [
  {
    entry: segment.sum,
    name: "",
    sizes,
    // Rows outside every segment cannot matter.
    inputs: ({ values, random, draw }) => {
      const offsets = offsetsOf(values, random);
      return { offsets, x: draw("x").map((x, n) => (n < offsets[0]! || n >= offsets.at(-1)! ? Number.NaN : x)) };
    },
  },
  {
    entry: segment.broadcast,
    name: "",
    sizes,
    inputs: ({ values, random }) => ({ offsets: offsetsOf(values, random) }),
    tolerance: { rtol: 0, atol: 0, reason: "copies" },
  },
];

const offsets = [1, 3, 3, 6];
const values = { N: 7, S: offsets.length - 1 };

export const segmentGradients: GradientCheck[] = [
  {
    name: "segment_sum",
    covers: ["segment_broadcast"],
    forward: segment.sum,
    values,
    inputs: (random) => ({ x: Array.from({ length: values.N }, random.normal), offsets }),
    outputs: ["y"],
    backward: ({ upstream, compute }) => ({ x: compute(segment.broadcast, { y: upstream.y, offsets }).x }),
  },
  {
    name: "segment_broadcast",
    covers: ["segment_sum"],
    forward: segment.broadcast,
    values,
    inputs: (random) => ({ y: Array.from({ length: values.S }, random.normal), offsets }),
    outputs: ["x"],
    backward: ({ upstream, compute }) => ({ y: compute(segment.sum, { x: upstream.x, offsets }).y }),
  },
];
