/** Conformance of sampling: tokens must be equal, not close. */
import { sample } from "../../src/ops/sample";
import type { Case, InputContext, Values } from "../case";

const OFF: Values = { temperature: 1, top_k: 0, top_p: 1, min_p: 0, repetition_penalty: 1, seed_lo: 7, seed_hi: 11 };

const shapes = [
  { N: 1, V: 1 },
  { N: 1, V: 2 },
  { N: 3, V: 5 },
  { N: 5, V: 31 },
  { N: 5, V: 32 },
  { N: 5, V: 33 },
  { N: 17, V: 257 },
  { N: 33, V: 1000 },
  { N: 4, V: 5003 },
];

const sizesOf = (options: Values): Values[] => shapes.map((shape) => ({ ...shape, W: Math.ceil(shape.V / 32), ...OFF, ...options }));

/** Logits with exact ties, also at the top, so that rows disagree only if the tie rules do; and about a fifth of the tokens seen. */
function inputs({ values, random, draw, count }: InputContext) {
  const { N, V } = values as { N: number; V: number };
  const logits = draw("logits", { outlier: 4 }).map((x) => 2 * x);
  for (let n = 0; n < N; n += 2) {
    const row = logits.subarray(n * V, (n + 1) * V);
    for (let j = 3; j < V; j += 7) row[j] = row[j - 2]!;
    if (V > 4 && n % 4 === 0) row[V - 1] = row[random.integer(V - 1)] = Math.max(...row) + 0.5;
  }
  const seen = Array.from({ length: count("seen") }, (_, i) => {
    let word = 0;
    for (let bit = 0; bit < 32; bit++) if (((i * 32) % (Math.ceil(V / 32) * 32)) + bit < V && random.uniform() < 0.2) word += 2 ** bit;
    return word;
  });
  return {
    logits,
    streams: Array.from({ length: N }, () => random.integer(2 ** 32)),
    positions: Array.from({ length: N }, () => random.integer(1000)),
    seen,
  };
}

const shared = {
  entry: sample.forward,
  inputs,
  tolerance: { atol: 1e-5, scale: "element", reason: "a difference of a logit and a log-sum-exp" },
  flops: ({ N, V }: Values) => 5 * N! * V!,
} as const;

export const sampleCases: Case[] = [
  { ...shared, name: "plain", sizes: sizesOf({}) },
  { ...shared, name: "greedy", sizes: sizesOf({ temperature: 0, repetition_penalty: 1.2 }) },
  { ...shared, name: "temperature", sizes: sizesOf({ temperature: 0.7, seed_lo: 0xffffffff }) },
  { ...shared, name: "top-k 1", sizes: sizesOf({ top_k: 1 }) },
  { ...shared, name: "top-k 5", sizes: sizesOf({ top_k: 5, temperature: 1.3 }) },
  { ...shared, name: "top-k beyond V", sizes: sizesOf({ top_k: 6000 }) },
  { ...shared, name: "top-p", sizes: sizesOf({ top_p: 0.8 }) },
  { ...shared, name: "top-p small", sizes: sizesOf({ top_p: 0.05, temperature: 1.5 }) },
  { ...shared, name: "min-p", sizes: sizesOf({ min_p: 0.05 }) },
  { ...shared, name: "repetition", sizes: sizesOf({ repetition_penalty: 1.3 }) },
  {
    ...shared,
    name: "everything",
    sizes: sizesOf({ temperature: 0.6, top_k: 20, top_p: 0.9, min_p: 0.02, repetition_penalty: 1.1, seed_hi: 123456 }),
  },
];
