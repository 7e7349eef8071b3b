/** Conformance of causal attention over ragged rows. */
import { attention } from "../../src/ops/attention";
import type { Case, InputContext, Values } from "../case";
import type { GradientCheck } from "../gradient";

/** Sequence lengths and heads of a trial, and its limits where it has any; N, S and scale follow. */
interface Ragged {
  readonly cap?: number;
  readonly window?: number;
  readonly lengths: readonly number[];
  readonly H: number;
  readonly K: number;
  readonly D: number;
}

const raggeds: Ragged[] = [
  { lengths: [1], H: 1, K: 1, D: 4 },
  { lengths: [2], H: 2, K: 1, D: 4 },
  { lengths: [3, 0, 1], H: 1, K: 1, D: 5 },
  { lengths: [0, 5, 4, 0], H: 2, K: 2, D: 8 },
  { lengths: [7, 1, 2], H: 3, K: 1, D: 12 },
  { lengths: [16, 17], H: 4, K: 2, D: 16 },
  { lengths: [31, 32, 33], H: 2, K: 1, D: 32 },
  { lengths: [63, 64, 65], H: 2, K: 2, D: 64 },
  { lengths: [1, 130, 2], H: 4, K: 1, D: 12 },
  { lengths: [65, 1, 63], H: 6, K: 3, D: 16 },
  { lengths: [130], H: 2, K: 1, D: 64 },
  { lengths: [33, 2], H: 2, K: 1, D: 96 },
  { lengths: [40, 3], H: 2, K: 1, D: 128 },
  { lengths: [257], H: 1, K: 1, D: 4 },
  { lengths: Array.from({ length: 70 }, (_, s) => s % 4), H: 2, K: 1, D: 8 },
  { lengths: [35], H: 2, K: 1, D: 256 },
  { lengths: [5, 33], H: 1, K: 1, D: 130 },
];

/** Caps about the size of the scores, and windows around the tiles of every device: 1, 8, 31 to 33, 47 to 49, 95 to 97, and longer than any row. */
const limited: Ragged[] = [
  { lengths: [3, 0, 9], H: 2, K: 1, D: 8, cap: 1.5, window: 0 },
  { lengths: [40, 97], H: 2, K: 1, D: 16, cap: 3, window: 0 },
  { lengths: [1, 7, 20], H: 2, K: 2, D: 4, cap: 0, window: 1 },
  { lengths: [30, 65], H: 4, K: 2, D: 12, cap: 0, window: 8 },
  ...[31, 32, 33, 47, 48, 49, 95, 96, 97, 1000].map((window) => ({ lengths: [210, 3], H: 2, K: 1, D: 8, cap: 0, window })),
  { lengths: [130, 66], H: 3, K: 1, D: 32, cap: 2, window: 40 },
  { lengths: [300], H: 1, K: 1, D: 5, cap: 2, window: 60 },
];

const offsetsOf = (lengths: readonly number[]): number[] => {
  let end = 0;
  return [0, ...lengths.map((length) => (end += length))];
};

const valuesOf = ({ lengths, H, K, D, cap = 0, window = 0 }: Ragged): Values => ({
  N: lengths.reduce((a, b) => a + b, 0),
  S: lengths.length,
  H,
  K,
  D,
  scale: 1 / Math.sqrt(D),
  cap,
  window,
});

/** The lengths of a size of this file; any other size (a benchmark's) gets S equal sequences. */
function lengthsOf(values: Values): readonly number[] {
  const { N, S } = values as { N: number; S: number };
  const known = [...raggeds, ...limited].find((ragged) => {
    const own = valuesOf(ragged);
    return Object.keys(own).every((name) => name === "scale" || own[name] === values[name]);
  });
  return known?.lengths ?? Array.from({ length: S }, (_, s) => Math.floor(((s + 1) * N) / S) - Math.floor((s * N) / S));
}

function inputs({ values, draw }: InputContext) {
  return { qkv: draw("qkv", { outlier: 6 }), offsets: offsetsOf(lengthsOf(values)) };
}

const sizes = [...limited, ...raggeds].map(valuesOf);

export const attentionCases: Case[] = [
  {
    entry: attention.forward,
    name: "",
    sizes,
    inputs,
  },
  {
    entry: attention.forward,
    name: "large scores",
    sizes: [valuesOf({ lengths: [9, 70], H: 2, K: 1, D: 16 })],
    inputs: (context) => {
      const offsets = offsetsOf([9, 70]);
      return { offsets, qkv: context.draw("qkv", { outlier: 40 }).map((x, i) => (i % 7 === 0 ? 4 * x : x)) };
    },
    tolerance: { rtol: 1e-4, reason: "an error in a score of several hundred is an error of its exponential" },
  },
  {
    entry: attention.backward,
    name: "",
    sizes,
    inputs: (context) => {
      const own = inputs(context);
      const { o, lse } = context.compute(attention.forward, own, context.values);
      return { ...own, o: o!, lse: lse! };
    },
    tolerance: { rtol: 2e-5, reason: "two more products of rounded numbers than the forward pass, and do·v - δ cancels" },
  },
];

export const attentionGradients: GradientCheck[] = [
  { lengths: [3, 0, 2, 1], H: 4, K: 2, D: 3 },
  { lengths: [4], H: 2, K: 2, D: 2 },
  { lengths: [2, 3], H: 3, K: 1, D: 2 },
  { lengths: [2, 5], H: 2, K: 1, D: 3, cap: 0.8 },
  { lengths: [2, 5], H: 2, K: 1, D: 3, window: 2 },
  { lengths: [4, 5], H: 2, K: 2, D: 2, cap: 1.3, window: 3 },
].map((ragged): GradientCheck => {
  const values = valuesOf(ragged);
  const { N, H, K, D } = values as { N: number; H: number; K: number; D: number };
  return {
    name: `attention_forward (H=${H} K=${K} D=${D}, lengths ${ragged.lengths.join(" ")}, cap ${values.cap}, window ${values.window})`,
    covers: ["attention_backward"],
    forward: attention.forward,
    values,
    inputs: (random) => ({ qkv: Array.from({ length: N * (H + 2 * K) * D }, random.normal), offsets: offsetsOf(ragged.lengths) }),
    outputs: ["o"],
    backward: ({ inputs, outputs, upstream, compute }) => ({
      qkv: compute(attention.backward, { do: upstream.o, ...inputs, o: outputs.o, lse: outputs.lse }).dqkv,
    }),
  };
});
