/** Conformance of sampling: tokens must be equal, not close. */
import { sample } from "../../src/ops/sample";
import type { Case, InputContext, Values } from "../case";

/** Settings of every row of a case. */
interface Settings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
}
const OFF: Settings = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

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

const sizes: Values[] = shapes.map((shape) => ({ ...shape, W: Math.ceil(shape.V / 32) }));

/**
 * Logits with exact ties, also at the top, so that rows disagree only if the tie rules do; about a fifth of the tokens seen; of every token but
 * the row's own `n mod V` one in three allowed. Row n takes entry n of `rows`, round about.
 */
const inputs =
  (rows: readonly Settings[]) =>
  ({ values, random, draw, count }: InputContext) => {
    const { N, V } = values as { N: number; V: number };
    const logits = draw("logits", { outlier: 4 }).map((x) => 2 * x);
    for (let n = 0; n < N; n += 2) {
      const row = logits.subarray(n * V, (n + 1) * V);
      for (let j = 3; j < V; j += 7) row[j] = row[j - 2]!;
      if (V > 4 && n % 4 === 0) row[V - 1] = row[random.integer(V - 1)] = Math.max(...row) + 0.5;
    }
    const W = Math.ceil(V / 32);
    const words = (tensor: string, share: number) =>
      Array.from({ length: count(tensor) }, (_, i) => {
        let word = 0;
        for (let bit = 0; bit < 32; bit++) {
          const token = (i % W) * 32 + bit;
          const isOwn = tensor === "allowed" && token === Math.floor(i / W) % V;
          if (isOwn || (token < V && random.uniform() < share)) word += 2 ** bit;
        }
        return word;
      });
    return {
      logits,
      settings: Array.from({ length: N }, (_, n) => rows[n % rows.length]!).flatMap((row) => [
        row.temperature,
        row.topK,
        row.topP,
        row.minP,
        row.repetitionPenalty,
      ]),
      keys: Array.from({ length: N }, () => [0xffffffff, 11, random.integer(2 ** 32)]).flat(),
      positions: Array.from({ length: N }, () => random.integer(1000)),
      allowed: words("allowed", 1 / 3),
      seen: words("seen", 0.2),
    };
  };

const shared = {
  entry: sample.forward,
  sizes,
  tolerance: { atol: 1e-5, scale: "element", reason: "a difference of a logit and a log-sum-exp" },
} as const;

const kinds: Readonly<Record<string, Partial<Settings>>> = {
  plain: {},
  greedy: { temperature: 0, repetitionPenalty: 1.2 },
  temperature: { temperature: 0.7 },
  "top-k 1": { topK: 1 },
  "top-k 5": { topK: 5, temperature: 1.3 },
  "top-k beyond V": { topK: 6000 },
  "top-p": { topP: 0.8 },
  "top-p small": { topP: 0.05, temperature: 1.5 },
  "min-p": { minP: 0.05 },
  repetition: { repetitionPenalty: 1.3 },
  everything: { temperature: 0.6, topK: 20, topP: 0.9, minP: 0.02, repetitionPenalty: 1.1 },
};

export const sampleCases: Case[] = [
  ...Object.entries(kinds).map(([name, settings]) => ({ ...shared, name, inputs: inputs([{ ...OFF, ...settings }]) })),
  { ...shared, name: "each row its own", inputs: inputs(Object.values(kinds).map((settings) => ({ ...OFF, ...settings }))) },
];
