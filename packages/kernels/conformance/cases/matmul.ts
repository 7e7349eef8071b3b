/** Conformance of the linear layer. */
import { matmul } from "../../src/ops/matmul";
import type { Case, Values } from "../case";
import type { GradientCheck } from "../gradient";
import { EDGES, sweep } from "../sizes";

const sizes: Values[] = [
  { M: 1, K: 1, N: 1 },
  { M: 1, K: 7, N: 1 },
  ...sweep("M", EDGES, { M: 1, K: 19, N: 23 }),
  ...sweep("K", EDGES, { M: 9, K: 1, N: 14 }),
  ...sweep("N", EDGES, { M: 13, K: 21, N: 1 }),
  { M: 64, K: 64, N: 64 },
  { M: 128, K: 96, N: 256 },
  { M: 1, K: 300, N: 500 },
  { M: 257, K: 64, N: 3 },
  { M: 2, K: 1025, N: 33 },
  { M: 1030, K: 17, N: 19 },
  { M: 130, K: 257, N: 65 },
];

/** A result of 9 x 9 of the largest tiles that a GPU takes, the last of them ragged. */
const large = { rows: 520, columns: 516, depth: 8 };

/** Rows are summed into columns here, so that the number of rows decides how the work is split. */
const columnSizes: Values[] = [...sweep("M", EDGES, { M: 1, N: 13 }), ...sweep("N", EDGES, { M: 13, N: 1 }), { M: 1030, N: 65 }];

export const matmulCases: Case[] = [
  { entry: matmul.forward, name: "", sizes: [...sizes, { M: large.rows, K: large.depth, N: large.columns }] },
  { entry: matmul.backwardInput, name: "", sizes: [...sizes, { M: large.rows, K: large.columns, N: large.depth }] },
  { entry: matmul.backwardWeight, name: "", sizes: [...sizes, { M: large.depth, K: large.columns, N: large.rows }] },
  { entry: matmul.backwardBias, name: "", sizes: columnSizes },
];

const [M, K, N] = [3, 4, 5];

export const matmulGradients: GradientCheck[] = [
  {
    name: "matmul_forward",
    covers: ["matmul_backward_input", "matmul_backward_weight", "matmul_backward_bias"],
    forward: matmul.forward,
    values: { M, K, N },
    inputs: (random) => ({
      x: Array.from({ length: M * K }, random.normal),
      w: Array.from({ length: N * K }, random.normal),
      bias: Array.from({ length: N }, random.normal),
      addend: Array.from({ length: M * N }, random.normal),
    }),
    outputs: ["y"],
    backward: ({ inputs, upstream, compute }) => ({
      x: compute(matmul.backwardInput, { dy: upstream.y, w: inputs.w }).dx,
      w: compute(matmul.backwardWeight, { dy: upstream.y, x: inputs.x }).dw,
      bias: compute(matmul.backwardBias, { dy: upstream.y }).db,
      addend: upstream.y,
    }),
  },
];
