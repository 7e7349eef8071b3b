/** Conformance of row lookup and its scatter. */
import { embedding } from "../../src/ops/embedding";
import type { Case, Values } from "../case";
import type { GradientCheck } from "../gradient";

/** `first` rows of a larger table come before this one. */
const lookups: Values[] = [
  { V: 1, C: 1, N: 1 },
  { V: 5, C: 3, N: 9 },
  { V: 17, C: 4, N: 5 },
  { V: 100, C: 5, N: 33 },
  { V: 257, C: 64, N: 65 },
  { V: 1000, C: 96, N: 130 },
  { V: 33, C: 257, N: 3 },
].map((size) => ({ ...size, first: 0 }));

/** Of a part of a table, ids of which lie before it, in it and beyond it. */
const parts: Values[] = [
  { V: 1, C: 1, N: 5, first: 1 },
  { V: 64, C: 5, N: 130, first: 64 },
  { V: 17, C: 96, N: 65, first: 100 },
];

/** The host's part of the scatter: which rows are used, and by which positions. */
export function scatterIndex(ids: readonly number[]): { order: number[]; rows: number[]; starts: number[] } {
  const order = ids.map((_, n) => n).sort((a, b) => ids[a]! - ids[b]! || a - b);
  const rows = [...new Set(ids)].sort((a, b) => a - b);
  const starts = rows.map((row) => order.findIndex((n) => ids[n] === row));
  return { order, rows, starts: [...starts, ids.length] };
}

/** N uses of exactly U distinct rows, one of them used most often, as a frequent token is. */
export function usesOf(
  { V, N, U }: Record<"V" | "N" | "U", number>,
  permutation: (count: number) => number[],
  integer: (below: number) => number,
): number[] {
  const rows = permutation(V).slice(0, U);
  return Array.from({ length: N }, (_, n) => rows[n < U ? n : integer(2) * integer(U)]!);
}

const scatters: Values[] = [
  { V: 1, C: 1, N: 1, U: 1 },
  { V: 5, C: 3, N: 9, U: 4 },
  { V: 17, C: 4, N: 5, U: 5 },
  { V: 100, C: 5, N: 33, U: 1 },
  { V: 257, C: 64, N: 65, U: 17 },
  { V: 1000, C: 96, N: 130, U: 96 },
  { V: 33, C: 257, N: 300, U: 8 },
].map((size) => ({ ...size, first: 0 }));

const partScatters: Values[] = [
  { V: 1, C: 1, N: 5, U: 3, first: 1 },
  { V: 64, C: 5, N: 130, U: 96, first: 64 },
  { V: 17, C: 96, N: 65, U: 33, first: 100 },
];

export const embeddingCases: Case[] = [
  {
    entry: embedding.forward,
    name: "",
    sizes: lookups,
    inputs: ({ values, random }) => ({ ids: Array.from({ length: values.N! }, () => random.integer(values.V!)) }),
    tolerance: { rtol: 0, atol: 0, reason: "copies" },
  },
  {
    entry: embedding.forward,
    name: "part",
    sizes: parts,
    inputs: ({ values, random }) => ({ ids: Array.from({ length: values.N! }, () => random.integer(values.first! + 2 * values.V!)) }),
    tolerance: { rtol: 0, atol: 0, reason: "copies" },
  },
  {
    entry: embedding.backward,
    name: "part",
    sizes: partScatters,
    inputs: ({ values: { V, N, U, first }, random }) =>
      scatterIndex(usesOf({ V: first! + 2 * V!, N: N!, U: U! }, random.permutation, random.integer)),
  },
  {
    entry: embedding.backward,
    name: "",
    sizes: scatters,
    inputs: ({ values, random }) => scatterIndex(usesOf(values as Record<"V" | "N" | "U", number>, random.permutation, random.integer)),
  },
];

const ids = [3, 1, 3, 0, 3];
const [N, V, C] = [ids.length, 5, 3];

export const embeddingGradients: GradientCheck[] = [
  {
    name: "embedding_forward",
    covers: ["embedding_backward"],
    forward: embedding.forward,
    values: { N, V, C, U: new Set(ids).size, first: 0 },
    inputs: (random) => ({ table: Array.from({ length: V * C }, random.normal), ids, y: new Array(N * C).fill(0) }),
    outputs: ["y"],
    backward: ({ upstream, compute }) => ({ table: compute(embedding.backward, { dy: upstream.y, ...scatterIndex(ids) }).dtable }),
  },
];
