/** Conformance of token-logprob: log-probability, entropy and log-sum-exp of targets, and their gradients. */
import { tokenLogprob } from "../../src/ops/token-logprob";
import type { Case, InputContext, Values } from "../case";
import type { GradientCheck } from "../gradient";
import { EDGES, sweep, withValues } from "../sizes";

const plain: Values[] = [
  { N: 1, C: 1, V: 1, inverse_temperature: 1 },
  { N: 1, C: 4, V: 2, inverse_temperature: 1 },
  ...withValues(sweep("V", EDGES.slice(4), { N: 3, C: 8, V: 1 }), { inverse_temperature: 1 }),
  ...withValues(sweep("N", [2, 4, 5, 7, 8, 9, 16, 17, 33, 64, 65], { N: 1, C: 12, V: 100 }), { inverse_temperature: 1.25 }),
  { N: 5, C: 33, V: 1000, inverse_temperature: 0.8 },
  { N: 65, C: 16, V: 257, inverse_temperature: 1 },
  { N: 130, C: 64, V: 1000, inverse_temperature: 1 },
  { N: 7, C: 65, V: 5003, inverse_temperature: 1.5 },
  { N: 33, C: 24, V: 5003, inverse_temperature: 1 },
].map((size) => ({ cap: 0, ...size }));

/** Caps about the size of the logits: some are far inside, the outliers saturate. */
const capped: Values[] = [
  { N: 1, C: 4, V: 2, inverse_temperature: 1, cap: 1 },
  { N: 17, C: 12, V: 257, inverse_temperature: 1.25, cap: 3 },
  { N: 33, C: 33, V: 1000, inverse_temperature: 0.8, cap: 30 },
  { N: 65, C: 16, V: 97, inverse_temperature: 1, cap: 2 },
];

const sizes = [...capped, ...plain];
const whole = withValues(sizes, { first: 0 });

/** Of a part of a vocabulary, targets of which lie before it, in it and beyond it. */
const parts: Values[] = [
  { N: 1, C: 1, V: 1, inverse_temperature: 1, cap: 0, first: 1 },
  { N: 5, C: 12, V: 64, inverse_temperature: 1.25, cap: 0, first: 64 },
  { N: 33, C: 33, V: 257, inverse_temperature: 0.8, cap: 3, first: 192 },
  { N: 65, C: 16, V: 5003, inverse_temperature: 1, cap: 0, first: 4096 },
];

/** Statistics of the head before a part: another one of as many tokens, up to 8. */
function before({ values, random, compute }: InputContext, hidden: ArrayLike<number>, targets: readonly number[]): ArrayLike<number> {
  const { N, C, V, first } = values as { N: number; C: number; V: number; first: number };
  if (first === 0) return new Float32Array(4 * N);
  const count = Math.min(8, V);
  const head = Array.from({ length: count * C }, random.normal);
  const statistics = new Float32Array(4 * N);
  return compute(tokenLogprob.statistics, { hidden, head, targets, statistics }, { ...values, V: count, first: 0 }).statistics!;
}

/** Logits of a few units, as a model's are, and every third target the most likely token. */
function inputs({ values, random, draw, compute, isTimed }: InputContext) {
  const { N, C, V } = values as { N: number; C: number; V: number };
  const hidden = draw("hidden", { scale: 2 / Math.sqrt(C), outlier: 4 });
  const head = draw("head", { outlier: 4 });
  const { first = 0 } = values;
  const targets = Array.from({ length: N }, () => random.integer(first === 0 ? V : first + 2 * V));
  for (let n = 0; n < N && !isTimed; n += 3) {
    let best = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < V; j++) {
      let z = 0;
      for (let c = 0; c < C; c++) z += hidden[n * C + c]! * head[j * C + c]!;
      if (z > best) [best, targets[n]] = [z, first + j];
    }
  }
  return {
    hidden,
    head,
    targets,
    compute: () =>
      compute(tokenLogprob.forward, { hidden, head, targets: targets.map((t) => Math.min(Math.max(t - first, 0), V - 1)) }, values),
  };
}

export const tokenLogprobCases: Case[] = [
  {
    entry: tokenLogprob.forward,
    name: "",
    sizes,
    inputs: (context) => {
      const { hidden, head, targets } = inputs(context);
      return { hidden, head, targets };
    },
    tolerance: { atol: 2e-5, scale: "element", reason: "differences of logits and log-sum-exps of up to a few tens" },
  },
  {
    entry: tokenLogprob.statistics,
    name: "",
    sizes: [...whole.slice(0, 4), ...whole.slice(-4), ...parts],
    inputs: (context) => {
      const { hidden, head, targets } = inputs(context);
      return { hidden, head, targets, statistics: before(context, hidden, targets) };
    },
    tolerance: {
      rtol: 5e-5,
      atol: 5e-5,
      scale: "element",
      reason: "logits of up to a few tens, rounded to 4e-6, and exponentials of them",
    },
  },
  {
    entry: tokenLogprob.results,
    name: "",
    sizes: sweep("N", EDGES, { N: 1 }),
    inputs: ({ values, random }) => ({
      statistics: Array.from({ length: values.N! }, () => {
        const max = 10 * random.normal();
        // every second target is the most likely token
        return [max, 1 + random.integer(1000), -random.integer(1000), random.integer(2) === 0 ? max : max - 3];
      }).flat(),
    }),
    tolerance: { atol: 2e-5, scale: "element", reason: "differences of logits and log-sum-exps of up to a few tens" },
  },
  {
    entry: tokenLogprob.coefficients,
    name: "",
    sizes: sweep("N", EDGES, { N: 1 }),
  },
  {
    entry: tokenLogprob.backward,
    name: "",
    sizes: [...whole.slice(0, -1), ...parts, ...whole.slice(-1)],
    inputs: (context) => {
      const { hidden, head, targets, compute } = inputs(context);
      const { entropy, lse } = compute();
      const { N } = context.values as { N: number };
      const upstream = () => Array.from({ length: N }, context.random.normal);
      const { coefficients } = context.compute(
        tokenLogprob.coefficients,
        { dlogp: upstream(), dentropy: upstream(), dlse: upstream(), entropy, lse },
        { N },
      );
      return { hidden, head, targets, coefficients: coefficients! };
    },
    tolerance: { rtol: 5e-5, scale: "array", reason: "sums over the vocabulary that cancel: Σ_j dz_j of logp and entropy is 0" },
  },
];

const [N, C, V] = [3, 4, 6];
const targets = [5, 0, 2];

export const tokenLogprobGradients: GradientCheck[] = [
  { outputs: ["logp", "entropy", "lse"], cap: 0 },
  { outputs: ["logp"], cap: 0 },
  { outputs: ["logp", "entropy", "lse"], cap: 1.5 },
].map(({ outputs, cap }) => ({
  name: `token_logprob_forward (${outputs.join(", ")}, cap ${cap})`,
  covers: ["token_logprob_coefficients", "token_logprob_backward"],
  forward: tokenLogprob.forward,
  values: { N, C, V, inverse_temperature: 1.4, cap, first: 0 },
  inputs: (random) => ({
    hidden: Array.from({ length: N * C }, random.normal),
    head: Array.from({ length: V * C }, random.normal),
    targets,
  }),
  outputs,
  backward: ({ inputs, outputs: { entropy, lse }, upstream, compute }) => {
    const folded = { dlogp: upstream.logp, dentropy: upstream.entropy, dlse: upstream.lse, entropy, lse };
    const { coefficients } = compute(tokenLogprob.coefficients, folded);
    const { dhidden, dhead } = compute(tokenLogprob.backward, { coefficients, ...inputs });
    return { hidden: dhidden, head: dhead };
  },
}));
