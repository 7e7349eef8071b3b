/** Reference of the elementwise functions of one and two vectors, and of accumulate and fill. */
import { accumulate, BINARY_KINDS, type BinaryKind, binary, fill, UNARY_KINDS, type UnaryKind, unary } from "../ops/elementwise";
import { implement } from "./implement";

const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
export const silu = (x: number): number => x * sigmoid(x);
export const siluDerivative = (x: number): number => sigmoid(x) * (1 + x * (1 - sigmoid(x)));
export const geluTanh = (x: number): number => 0.5 * x * (1 + Math.tanh(GELU_SCALE * (x + GELU_CUBIC * x ** 3)));
export const geluTanhDerivative = (x: number): number => {
  const t = Math.tanh(GELU_SCALE * (x + GELU_CUBIC * x ** 3));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x);
};

/** f and df/dx of one operand; a and b are the scalars. */
interface UnaryFunction {
  readonly value: (x: number, a: number, b: number) => number;
  readonly derivative: (x: number, a: number, b: number) => number;
}

const UNARY: Record<UnaryKind, UnaryFunction> = {
  affine: { value: (x, a, b) => a * x + b, derivative: (_, a) => a },
  exp: { value: Math.exp, derivative: Math.exp },
  log: { value: Math.log, derivative: (x) => 1 / x },
  square: { value: (x) => x * x, derivative: (x) => 2 * x },
  sqrt: { value: Math.sqrt, derivative: (x) => 0.5 / Math.sqrt(x) },
  reciprocal: { value: (x) => 1 / x, derivative: (x) => -1 / (x * x) },
  abs: { value: Math.abs, derivative: Math.sign },
  clamp: { value: (x, a, b) => Math.min(Math.max(x, a), b), derivative: (x, a, b) => (a <= x && x <= b ? 1 : 0) },
  sigmoid: { value: sigmoid, derivative: (x) => sigmoid(x) * sigmoid(-x) },
  log_sigmoid: { value: (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))), derivative: (x) => sigmoid(-x) },
  silu: { value: silu, derivative: siluDerivative },
  gelu_tanh: { value: geluTanh, derivative: geluTanhDerivative },
  tanh: { value: Math.tanh, derivative: (x) => 1 - Math.tanh(x) ** 2 },
  expm1: { value: Math.expm1, derivative: Math.exp },
  log1mexp: {
    value: (x) => (x > -Math.LN2 ? Math.log(-Math.expm1(x)) : Math.log1p(-Math.exp(x))),
    derivative: (x) => -1 / Math.expm1(-x),
  },
  soft_cap: { value: (x, a) => a * Math.tanh(x / a), derivative: (x, a) => 1 - Math.tanh(x / a) ** 2 },
};

/** f(x, y) and the two partial derivatives times the upstream gradient dz (a gradient that is not wanted is never a product). */
interface BinaryFunction {
  readonly value: (x: number, y: number) => number;
  readonly dx: (dz: number, x: number, y: number) => number;
  readonly dy: (dz: number, x: number, y: number) => number;
}

/** 1 where `first` wins, a half on a tie, 0 where it loses. */
const share = (wins: boolean, tie: boolean): number => (tie ? 0.5 : wins ? 1 : 0);

const BINARY: Record<BinaryKind, BinaryFunction> = {
  add: { value: (x, y) => x + y, dx: (dz) => dz, dy: (dz) => dz },
  sub: { value: (x, y) => x - y, dx: (dz) => dz, dy: (dz) => -dz },
  mul: { value: (x, y) => x * y, dx: (dz, _, y) => dz * y, dy: (dz, x) => dz * x },
  div: { value: (x, y) => x / y, dx: (dz, _, y) => dz / y, dy: (dz, x, y) => (-dz * x) / (y * y) },
  min: { value: Math.min, dx: (dz, x, y) => dz * share(x < y, x === y), dy: (dz, x, y) => dz * share(y < x, x === y) },
  max: { value: Math.max, dx: (dz, x, y) => dz * share(x > y, x === y), dy: (dz, x, y) => dz * share(y > x, x === y) },
  keep: { value: (x, y) => (y !== 0 ? x : 0), dx: (dz, _, y) => (y !== 0 ? dz : 0), dy: () => 0 },
  greater: { value: (x, y) => (x > y ? 1 : 0), dx: () => 0, dy: () => 0 },
};

const unaryFunctions = new Map(Object.entries(UNARY_KINDS).map(([name, kind]) => [kind as number, UNARY[name as UnaryKind]]));
const binaryFunctions = new Map(Object.entries(BINARY_KINDS).map(([name, kind]) => [kind as number, BINARY[name as BinaryKind]]));

export const elementwiseReference = [
  implement<"x" | "y", "N" | "kind" | "a" | "b">(unary.forward, ({ x, y }, { N, kind, a, b }) => {
    const f = unaryFunctions.get(kind)!;
    for (let n = 0; n < N; n++) y[n] = f.value(x[n]!, a, b);
  }),
  implement<"dy" | "x" | "dx", "N" | "kind" | "a" | "b">(unary.backward, ({ dy, x, dx }, { N, kind, a, b }) => {
    const f = unaryFunctions.get(kind)!;
    for (let n = 0; n < N; n++) dx[n] = dy[n]! * f.derivative(x[n]!, a, b);
  }),
  implement<"x" | "y" | "z", "N" | "kind">(binary.forward, ({ x, y, z }, { N, kind }) => {
    const f = binaryFunctions.get(kind)!;
    for (let n = 0; n < N; n++) z[n] = f.value(x[n]!, y[n]!);
  }),
  implement<"dz" | "x" | "y" | "dx" | "dy", "N" | "kind">(binary.backward, ({ dz, x, y, dx, dy }, { N, kind }) => {
    const f = binaryFunctions.get(kind)!;
    for (let n = 0; n < N; n++) {
      dx[n] = f.dx(dz[n]!, x[n]!, y[n]!);
      dy[n] = f.dy(dz[n]!, x[n]!, y[n]!);
    }
  }),
  implement<"x" | "y", "N">(accumulate.add, ({ x, y }, { N }) => {
    for (let n = 0; n < N; n++) y[n]! += x[n]!;
  }),
  implement<"y", "value">(fill.set, ({ y }, { value }) => {
    y.fill(value);
  }),
];
