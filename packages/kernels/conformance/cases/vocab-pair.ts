/** Conformance of vocab-pair: divergences of two distributions over the vocabulary, and their gradients. */
import { vocabPair } from "../../src/ops/vocab-pair";
import type { Case, InputContext, StatedTolerance, Values } from "../case";
import type { GradientCheck } from "../gradient";
import { EDGES, sweep, withValues } from "../sizes";

const OPEN = { cap: 0, fixed_cap: 0 };
const WARM = { inverse_temperature: 1.25, fixed_inverse_temperature: 0.8, ...OPEN };

/** Sizes by the three forms of the divergence: each meets the edges of the vocabulary, and the mixture meets those of the rows as well. */
const sizesOf = (beta: number): Values[] => [
  { N: 1, C: 1, V: 1, D: 1, beta, inverse_temperature: 1, fixed_inverse_temperature: 1, ...OPEN },
  { N: 1, C: 4, V: 2, D: 3, beta, ...WARM },
  ...withValues(sweep("V", EDGES.slice(4), { N: 3, C: 8, V: 1, D: 5 }), { beta, ...WARM }),
  ...withValues(sweep("N", [2, 8, 17, 33, 65], { N: 1, C: 12, V: 100, D: 16 }), { beta, ...WARM }),
  { N: 5, C: 33, V: 1000, D: 7, beta, ...WARM },
  { N: 9, C: 12, V: 101, D: 7, beta, ...WARM, cap: 2, fixed_cap: 3 },
  { N: 3, C: 12, V: 97, D: 7, beta, ...WARM, cap: 0, fixed_cap: 1.5 },
  { N: 3, C: 12, V: 97, D: 7, beta, ...WARM, cap: 1.5, fixed_cap: 0 },
];

/** More logits than a chunk of any device; webgpu with little scratch takes the other sizes in chunks, too. */
const CHUNKED: Values = { N: 260, C: 4, V: 4099, D: 3, beta: 1, ...WARM };

type Size = Record<"N" | "C" | "V" | "D", number>;

/** Logits of a few units, as a model's are. */
function independent({ values, draw }: InputContext) {
  const { C, D } = values as Size;
  return {
    hidden: draw("hidden", { scale: 2 / Math.sqrt(C), outlier: 4 }),
    head: draw("head", { outlier: 4 }),
    fixedHidden: draw("fixedHidden", { scale: 2 / Math.sqrt(D), outlier: 4 }),
    fixedHead: draw("fixedHead", { outlier: 4 }),
  };
}

/** Logits of up to hundreds: nearly every probability of either side underflows, mostly where the other's does not. */
function farOut(context: InputContext) {
  const { hidden, fixedHidden, ...heads } = independent(context);
  return { ...heads, hidden: hidden.map((x) => 25 * x), fixedHidden: fixedHidden.map((x) => 25 * x) };
}

/** The same head, and hidden states `distance` apart. */
const near =
  (distance: number) =>
  ({ draw }: InputContext) => {
    const [hidden, head, noise] = [draw("hidden", { outlier: 2 }), draw("head", { outlier: 2 }), draw("fixedHidden")];
    return { hidden, head, fixedHidden: hidden.map((x, i) => x + distance * noise[i]!), fixedHead: head };
  };

const onGrid = (data: Float32Array, step: number) => data.map((x) => Math.round(x / step) * step);

/**
 * As `near`, on grids: a logit is a multiple of 2^-16 below 2^5, which f32 holds exactly, and times 1.25 as well, whatever the order of its
 * sum. Off them the gradient shows what logits are rounded by and little else: where one p is nearly 1, its difference and the centre cancel,
 * and logits of 16 summed from products that are rounded one by one, with all that follows in f64, cost 2.1e-3 of the root mean square.
 */
const nearOnGrid =
  (distance: number): Sides =>
  (context) => {
    const { hidden, head, fixedHidden } = near(distance)(context);
    const [coarse, fine] = [onGrid(head, 2 ** -6), 2 ** -10];
    return { hidden: onGrid(hidden, fine), head: coarse, fixedHidden: onGrid(fixedHidden, fine), fixedHead: coarse };
  };

const FORWARD: Case["tolerance"] = {
  divergence: { rtol: 2e-5, scale: "element", reason: "weights e^(z - lse), whose argument is rounded to the size of the logits" },
  centre: {
    rtol: 2e-5,
    atol: 2e-5,
    scale: "element",
    reason: "a sum of terms of both signs, which carries the rounding of lse: its purpose",
  },
  lse: { atol: 1e-5, scale: "element", reason: "logits of up to a few tens" },
  fixedLse: { atol: 1e-5, scale: "element", reason: "logits of up to a few tens" },
};

const FAR: Case["tolerance"] = {
  divergence: { rtol: 2e-5, atol: 3e-4, scale: "element", reason: "logits of hundreds are rounded to 3e-5" },
  centre: { rtol: 2e-5, atol: 3e-4, scale: "element", reason: "logits of hundreds are rounded to 3e-5" },
  lse: { atol: 3e-4, scale: "element", reason: "logits of hundreds are rounded to 3e-5" },
  fixedLse: { atol: 3e-4, scale: "element", reason: "logits of hundreds are rounded to 3e-5" },
};

const CLOSE: Case["tolerance"] = {
  divergence: { rtol: 1e-3, atol: 1e-9, scale: "element", reason: "half the square of differences of 1e-2 between logits rounded to 5e-7" },
  centre: { rtol: 1e-3, atol: 2e-6, scale: "element", reason: "a sum of differences of 1e-2 that nearly cancel" },
  lse: { atol: 1e-5, scale: "element", reason: "logits of up to a few tens" },
  fixedLse: { atol: 1e-5, scale: "element", reason: "logits of up to a few tens" },
};

const SUMS: StatedTolerance = { rtol: 1e-4, scale: "array", reason: "sums over the vocabulary that cancel: Σ_j dz_j is 0" };

/** Both sides' lse are those of a larger vocabulary: a part of it. */
const sums = (beta: number): Case => ({
  entry: vocabPair.sums,
  name: `beta ${beta}`,
  sizes: [
    { N: 1, C: 1, V: 1, D: 1, beta, ...WARM, first: 0 },
    { N: 5, C: 33, V: 1000, D: 7, beta, ...WARM, first: 0 },
    { N: 33, C: 12, V: 257, D: 16, beta, ...WARM, first: 64 },
    { N: 9, C: 12, V: 101, D: 7, beta, ...WARM, cap: 2, fixed_cap: 3, first: 128 },
    ...(beta === 1 ? [{ ...CHUNKED, first: 64 }] : []),
  ],
  inputs: (context) => {
    const given = independent(context);
    const { lse, fixedLse } = context.compute(vocabPair.forward, given, context.values);
    return { ...given, lse: lse!.map((x) => x + 0.7), fixedLse: fixedLse!.map((x) => x + 0.4) };
  },
  tolerance: FORWARD!,
});

/** Betas of the two KL divergences and of mixtures between them. */
const BETAS = [0, 0.3, 0.5, 1] as const;
const RANDOM_SIZE = { N: 9, C: 16, V: 257, D: 16, ...WARM };
const SAME_SIZE = { N: 9, C: 16, V: 257, D: 16, inverse_temperature: 1.25, fixed_inverse_temperature: 1.25, ...OPEN };

type Sides = (context: InputContext) => Record<string, ArrayLike<number>>;

const forward = (name: string, sizes: Values[], inputs: Sides, tolerance: Case["tolerance"] = FORWARD): Case => ({
  entry: vocabPair.forward,
  name,
  sizes,
  inputs,
  tolerance: tolerance!,
});

const backward = (name: string, sizes: Values[], sides: Sides, tolerance: StatedTolerance = SUMS): Case => ({
  entry: vocabPair.backward,
  name,
  sizes,
  inputs: (context) => {
    const given = sides(context);
    const { centre, lse, fixedLse } = context.compute(vocabPair.forward, given, context.values);
    const ddivergence = Array.from({ length: context.values.N! }, context.random.normal);
    const { coefficients } = context.compute(vocabPair.coefficients, { ddivergence, centre, lse, fixedLse }, { N: context.values.N! });
    return { ...given, coefficients: coefficients! };
  },
  tolerance,
});

/** Divergences of a distribution from itself, to the last bit: both sides take the same way. */
const NOTHING: Case["tolerance"] = {
  divergence: { atol: 1e-12, rtol: 0, reason: "it is 0" },
  centre: { atol: 1e-12, rtol: 0, reason: "it is 0" },
  lse: { atol: 1e-5, scale: "element", reason: "logits of up to a few tens" },
  fixedLse: { atol: 1e-5, scale: "element", reason: "logits of up to a few tens" },
};

export const vocabPairCases: Case[] = [
  ...BETAS.map((beta) => forward(`beta ${beta}`, sizesOf(beta), independent)),
  forward("chunked", [CHUNKED], independent),
  ...BETAS.flatMap((beta) => [
    forward(`beta ${beta}, far out`, [{ ...RANDOM_SIZE, beta }], farOut, FAR),
    forward(`beta ${beta}, close`, [{ ...SAME_SIZE, beta }], near(1e-2), CLOSE),
    forward(`beta ${beta}, equal`, [{ ...SAME_SIZE, beta }], near(0), NOTHING),
  ]),
  ...BETAS.map(sums),
  { entry: vocabPair.coefficients, name: "", sizes: sweep("N", EDGES, { N: 1 }) },
  ...BETAS.map((beta) => backward(`beta ${beta}`, sizesOf(beta), independent)),
  backward("chunked", [CHUNKED], independent),
  ...BETAS.flatMap((beta) => [
    backward(`beta ${beta}, far out`, [{ ...RANDOM_SIZE, beta }], farOut, {
      rtol: 2e-3,
      atol: 1e-3,
      scale: "array",
      reason: "logits of hundreds, rounded to 3e-5, against a centre that was computed in f64",
    }),
    backward(`beta ${beta}, close`, [{ ...SAME_SIZE, beta }], nearOnGrid(1e-2), {
      rtol: 2e-5,
      atol: 0,
      scale: "array",
      reason: "differences of 1e-2, which nearly cancel in the sum, times exp of a few units",
    }),
  ]),
];

const [N, C, V, D] = [3, 4, 6, 5];

export const vocabPairGradients: GradientCheck[] = [
  ...[0, 0.25, 1].map((beta) => ({ beta, cap: 0, fixed_cap: 0 })),
  ...[0, 0.25, 1].map((beta) => ({ beta, cap: 1.2, fixed_cap: 2 })),
].map((limits) => ({
  name: `vocab_pair_forward (beta ${limits.beta}, cap ${limits.cap})`,
  covers: ["vocab_pair_coefficients", "vocab_pair_backward"],
  forward: vocabPair.forward,
  values: { N, C, V, D, inverse_temperature: 1.4, fixed_inverse_temperature: 0.7, ...limits },
  inputs: (random) => ({
    hidden: Array.from({ length: N * C }, random.normal),
    head: Array.from({ length: V * C }, random.normal),
    fixedHidden: Array.from({ length: N * D }, random.normal),
    fixedHead: Array.from({ length: V * D }, random.normal),
  }),
  outputs: ["divergence"],
  backward: ({ inputs, outputs: { centre, lse, fixedLse }, upstream, compute }) => {
    const { coefficients } = compute(vocabPair.coefficients, { ddivergence: upstream.divergence, centre, lse, fixedLse });
    const { dhidden, dhead } = compute(vocabPair.backward, { coefficients, ...inputs });
    return { hidden: dhidden, head: dhead };
  },
}));
