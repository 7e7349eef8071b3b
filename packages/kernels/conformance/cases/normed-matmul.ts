/** Conformance of linear layers of normed rows, plain and gated, in f32 and in low precision. */
import { GATE_KINDS } from "../../src/ops/gated-activation";
import { normedMatmul } from "../../src/ops/normed-matmul";
import { packedRowWords, WEIGHT_FORMATS } from "../../src/weight-formats";
import type { Case, Values } from "../case";
import { packedRows } from "./packed-weight";

const EPS = 1e-5;

/** Row lengths that are no multiple of 4, few rows, rows up to a tile and beyond it, and depths that are sliced. */
const shapes = [
  { M: 1, K: 1, N: 1 },
  { M: 1, K: 4, N: 3 },
  { M: 3, K: 7, N: 5 },
  { M: 2, K: 260, N: 18 },
  { M: 7, K: 36, N: 9 },
  { M: 8, K: 300, N: 33 },
  { M: 9, K: 20, N: 70 },
  { M: 31, K: 128, N: 33 },
  { M: 32, K: 520, N: 35 },
  { M: 33, K: 48, N: 40 },
  { M: 70, K: 130, N: 68 },
].map((shape, i): Values => ({ ...shape, eps: EPS, offset: i % 3 === 2 ? 1 : 0 }));

/** y has as many columns as without a gate. */
const gatedShapes = shapes.map(({ N, ...shape }, i): Values => ({ ...shape, F: N!, kind: Object.values(GATE_KINDS)[i % 2]! }));

/** Few rows and many, with scales that end in the middle of a row; what lies between differs from f32 in no more than they do. */
const format = WEIGHT_FORMATS.nf4;
const packedShapes = (list: readonly Values[]) =>
  list.filter(({ K }) => [300, 48].includes(K!)).map((values) => ({ ...values, W: packedRowWords(format, values.K!), format: format.id }));

export const normedMatmulCases: Case[] = [
  { entry: normedMatmul.forward, name: "", sizes: shapes },
  { entry: normedMatmul.gated, name: "", sizes: gatedShapes },
  {
    entry: normedMatmul.packedForward,
    name: "",
    sizes: packedShapes(shapes),
    inputs: ({ values, random }) => ({ w: packedRows(format, values.N!, values.K!, random) }),
  },
  {
    entry: normedMatmul.packedGated,
    name: "",
    sizes: packedShapes(gatedShapes),
    inputs: ({ values, random }) => ({ w: packedRows(format, 2 * values.F!, values.K!, random) }),
  },
];
