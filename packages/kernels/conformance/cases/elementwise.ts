/** Conformance of the elementwise functions: every kind, forward and backward, plus accumulate and fill. */
import { accumulate, BINARY_KINDS, type BinaryKind, binary, fill, UNARY_KINDS, type UnaryKind, unary } from "../../src/ops/elementwise";
import type { Case, InputContext, StatedTolerance } from "../case";
import type { GradientCheck } from "../gradient";
import type { Random } from "../random";
import { EDGES, FEW_EDGES, sweep, withValues } from "../sizes";

const sizes = sweep("N", FEW_EDGES, { N: 1 });

/** Each result stands alone, so each is compared alone. */
const ELEMENTWISE: StatedTolerance = { scale: "element", reason: "no element depends on another" };

/** The scalars of a kind, where it has any. */
const SCALARS: Partial<Record<UnaryKind, { a: number; b: number }>> = {
  affine: { a: -1.7, b: 0.3 },
  clamp: { a: -0.8, b: 0.6 },
  soft_cap: { a: 1.7, b: 0 },
};

/** Where a function has no finite value or derivative at or below 0, |x| + 0.1 is its input. */
const POSITIVE: readonly UnaryKind[] = ["log", "sqrt", "reciprocal"];

/** Where it has none at or above 0, -|x| - 0.1 is. */
const NEGATIVE: readonly UnaryKind[] = ["log1mexp"];

/** A number moved to where `kind` has a value and a derivative. */
function intoDomain(kind: UnaryKind, x: number): number {
  if (POSITIVE.includes(kind)) return Math.abs(x) + 0.1;
  return NEGATIVE.includes(kind) ? -Math.abs(x) - 0.1 : x;
}

const unaryCases = (Object.keys(UNARY_KINDS) as UnaryKind[]).flatMap((kind): Case[] => {
  const values = withValues(sizes, { kind: UNARY_KINDS[kind], ...(SCALARS[kind] ?? { a: 0, b: 0 }) });
  const inputs = ({ draw }: InputContext) => ({ x: draw("x").map((x) => intoDomain(kind, x)) });
  const shared = { name: kind, sizes: values, tolerance: ELEMENTWISE, inputs };
  return [
    { ...shared, entry: unary.forward },
    { ...shared, entry: unary.backward },
  ];
});

/** Second operands: no divisor near 0, ties for min, max and greater, zeros for keep. */
function secondOperand(kind: BinaryKind, x: Float32Array, y: Float32Array): Float32Array {
  if (kind === "div") return y.map((value) => Math.sign(value || 1) * (Math.abs(value) + 0.1));
  if (kind === "min" || kind === "max" || kind === "greater") return y.map((value, i) => (i % 3 === 0 ? x[i]! : value));
  if (kind === "keep") return y.map((value, i) => (i % 2 === 0 ? 0 : value || 1));
  return y;
}

/** Under keep, what y = 0 hides is NaN: it must not come through. */
const hidden = (kind: BinaryKind, data: Float32Array) =>
  kind === "keep" ? data.map((value, i) => (i % 2 === 0 ? Number.NaN : value)) : data;

const binaryCases = (Object.keys(BINARY_KINDS) as BinaryKind[]).flatMap((kind): Case[] => {
  const values = withValues(sizes, { kind: BINARY_KINDS[kind] });
  const inputs = ({ draw }: InputContext) => ({ x: hidden(kind, draw("x")), y: secondOperand(kind, draw("x"), draw("y")) });
  const shared = { name: kind, sizes: values, tolerance: ELEMENTWISE };
  return [
    { ...shared, entry: binary.forward, inputs },
    { ...shared, entry: binary.backward, inputs: (context) => ({ ...inputs(context), dz: hidden(kind, context.draw("dz")) }) },
  ];
});

/** Around 0, where 1 + x rounds to 1, around the changes of formula, and far out; `rtol` leaves WGSL's exp its 3 + 2 |x| ulp. */
const ACCURATE: readonly { readonly kind: UnaryKind; readonly rtol: number; readonly x: readonly number[] }[] = [
  { kind: "expm1", rtol: 2e-6, x: [-1e-9, 1e-9, 3e-5, -3e-5, 0.1, -0.1, 0.34, 0.35, -0.34, -0.35, 0.49, -0.49, 0.51, -0.51, 5, -5, -1000] },
  { kind: "log1mexp", rtol: 2e-6, x: [-1e-9, -3e-5, -0.01, -0.34, -0.35, -0.49, -0.51, -0.69, -0.7, -1, -5] },
  { kind: "log1mexp", rtol: 1e-5, x: [-12, -17, -20, -40] },
];

export const elementwiseCases: Case[] = [
  ...unaryCases,
  {
    entry: unary.forward,
    name: "log_sigmoid far out",
    sizes: [{ N: 6, kind: UNARY_KINDS.log_sigmoid, a: 0, b: 0 }],
    inputs: () => ({ x: [-100, -30, 30, 100, 0, -1000] }),
    tolerance: ELEMENTWISE,
  },
  ...(["sigmoid", "silu", "gelu_tanh", "tanh"] as const).flatMap((kind): Case[] =>
    [unary.forward, unary.backward].map((entry) => ({
      entry,
      name: `${kind} far out`,
      sizes: [{ N: 6, kind: UNARY_KINDS[kind], a: 0, b: 0 }],
      inputs: () => ({ x: [-100, -30, 30, 100, 0, -1000], ...(entry === unary.backward ? { dy: [1, 2, 3, 4, 5, 6] } : {}) }),
      tolerance: ELEMENTWISE,
    })),
  ),
  ...ACCURATE.flatMap(({ kind, rtol, x }): Case[] =>
    [unary.forward, unary.backward].map((entry) => ({
      entry,
      name: `${kind} keeps its digits`,
      sizes: [{ N: x.length, kind: UNARY_KINDS[kind], a: 0, b: 0 }],
      inputs: () => ({ x, ...(entry === unary.backward ? { dy: x.map(() => 1) } : {}) }),
      tolerance: {
        rtol,
        atol: 1e-20,
        scale: "element",
        reason: "the point of the kind: relative accuracy where the plain formula has none",
      },
    })),
  ),
  ...binaryCases,
  {
    entry: binary.forward,
    name: "greater with NaN",
    sizes: [{ N: 5, kind: BINARY_KINDS.greater }],
    inputs: () => ({ x: [Number.NaN, 1, Number.NaN, 2, -1], y: [0, Number.NaN, Number.NaN, 1, 1] }),
    tolerance: { atol: 0, rtol: 0, reason: "0 or 1" },
  },
  { entry: accumulate.add, name: "", sizes: sweep("N", EDGES, { N: 1 }), tolerance: ELEMENTWISE },
  {
    entry: fill.set,
    name: "",
    sizes: [...sweep("N", EDGES, { N: 1, value: -2.5 }), { N: 9, value: 0 }],
    tolerance: { atol: 0, rtol: 0, reason: "a copy" },
  },
];

const [COUNT, KINK] = [7, 1e-3];

/** Normals in the domain, at least `KINK` away from 0 and from the clamp bounds. */
function smooth(random: Random, kind: UnaryKind): number[] {
  const { a, b } = SCALARS[kind] ?? { a: 0, b: 0 };
  return Array.from({ length: COUNT }, () => {
    for (;;) {
      const x = intoDomain(kind, random.normal());
      if ([0, a, b].every((kink) => Math.abs(x - kink) > KINK)) return x;
    }
  });
}

export const elementwiseGradients: GradientCheck[] = [
  ...(Object.keys(UNARY_KINDS) as UnaryKind[]).map(
    (kind): GradientCheck => ({
      name: `unary_forward (${kind})`,
      covers: ["unary_backward"],
      forward: unary.forward,
      values: { N: COUNT, kind: UNARY_KINDS[kind], ...(SCALARS[kind] ?? { a: 0, b: 0 }) },
      inputs: (random) => ({ x: smooth(random, kind) }),
      outputs: ["y"],
      backward: ({ inputs, upstream, compute }) => ({ x: compute(unary.backward, { dy: upstream.y, x: inputs.x }).dx }),
    }),
  ),
  ...(Object.keys(BINARY_KINDS) as BinaryKind[]).map(
    (kind): GradientCheck => ({
      name: `binary_forward (${kind})`,
      covers: ["binary_backward"],
      forward: binary.forward,
      values: { N: COUNT, kind: BINARY_KINDS[kind] },
      inputs: (random) => ({
        x: Array.from({ length: COUNT }, random.normal),
        y: Array.from({ length: COUNT }, () => random.normal() + (kind === "div" ? 3 : 0)),
      }),
      outputs: ["z"],
      backward: ({ inputs, upstream, compute }) => {
        const { dx, dy } = compute(binary.backward, { dz: upstream.z, x: inputs.x, y: inputs.y });
        return { x: dx, y: dy };
      },
    }),
  ),
];
