/** Conformance of vocab-gather: one logit a row, and the gradients of its two factors. */
import { vocabGather } from "../../src/ops/vocab-gather";
import type { Case, StatedTolerance, Values } from "../case";
import type { GradientCheck } from "../gradient";
import { EDGES, sweep } from "../sizes";
import { scatterIndex, usesOf } from "./embedding";

const sizes: Values[] = [
  ...sweep("C", EDGES, { N: 3, C: 1, V: 5 }),
  ...sweep("N", [1, 2, 4, 5, 17, 64, 65, 257], { N: 1, C: 12, V: 9 }),
  { N: 33, C: 64, V: 1000 },
];

const targets = ({ values, random }: { values: Values; random: { integer(below: number): number } }) =>
  Array.from({ length: values.N! }, () => random.integer(values.V!));

const scatters: Values[] = [
  { N: 1, C: 1, U: 1, V: 1 },
  { N: 9, C: 3, U: 4, V: 5 },
  { N: 5, C: 4, U: 5, V: 17 },
  { N: 33, C: 5, U: 1, V: 100 },
  { N: 65, C: 64, U: 17, V: 257 },
  { N: 300, C: 257, U: 8, V: 33 },
];

const PRODUCT: StatedTolerance = { rtol: 1e-6, scale: "element", reason: "one product a result" };

export const vocabGatherCases: Case[] = [
  { entry: vocabGather.forward, name: "", sizes, inputs: (context) => ({ targets: targets(context) }) },
  {
    entry: vocabGather.backwardHidden,
    name: "",
    sizes,
    inputs: (context) => ({ targets: targets(context) }),
    tolerance: PRODUCT,
  },
  {
    entry: vocabGather.backwardHead,
    name: "",
    sizes: scatters,
    inputs: ({ values, random }) => scatterIndex(usesOf(values as Record<"V" | "N" | "U", number>, random.permutation, random.integer)),
  },
];

const uses = [3, 1, 3, 0, 3];
const [N, V, C] = [uses.length, 5, 3];

export const vocabGatherGradients: GradientCheck[] = [
  {
    name: "vocab_gather_forward",
    covers: ["vocab_gather_backward_hidden", "vocab_gather_backward_head"],
    forward: vocabGather.forward,
    values: { N, V, C, U: new Set(uses).size },
    inputs: (random) => ({
      hidden: Array.from({ length: N * C }, random.normal),
      head: Array.from({ length: V * C }, random.normal),
      targets: uses,
    }),
    outputs: ["y"],
    backward: ({ inputs, upstream, compute }) => ({
      hidden: compute(vocabGather.backwardHidden, { dy: upstream.y, head: inputs.head, targets: uses }).dhidden,
      head: compute(vocabGather.backwardHead, { dy: upstream.y, hidden: inputs.hidden, ...scatterIndex(uses) }).dhead,
    }),
  },
];
