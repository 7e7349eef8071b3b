/** Elementwise functions of one and two vectors: activations of plain MLPs, and the pieces losses are composed of. */
import { defineOp } from "../contract";

/**
 * Values of `kind` for one operand; a and b are the scalars. Derivatives are the ordinary ones; clamp passes the gradient
 * where a <= x <= b, as PyTorch does. gelu_tanh: x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))). expm1 keeps its digits near 0; log1mexp is
 * log(1 - eˣ) for x < 0 (a log-probability to the log-probability of the rest), -infinity at 0, with derivative -eˣ / (1 - eˣ).
 */
export const UNARY_KINDS = {
  affine: 0, // a x + b
  exp: 1,
  log: 2,
  square: 3,
  sqrt: 4,
  reciprocal: 5,
  abs: 6,
  clamp: 7, // min(max(x, a), b)
  sigmoid: 8,
  log_sigmoid: 9, // -softplus(-x), stable for large |x|
  silu: 10,
  gelu_tanh: 11,
  tanh: 12,
  expm1: 13, // eˣ - 1
  log1mexp: 14, // log(-expm1(x)) above -ln 2, log1p(-eˣ) below
  soft_cap: 15, // a tanh(x / a)
} as const;
export type UnaryKind = keyof typeof UNARY_KINDS;

/**
 * Values of `kind` for two operands. For min and max a tie gives each operand half of the gradient, as PyTorch does.
 * `keep` is x where y != 0, else 0 (never a product: a masked NaN must not matter), gradient to x only. `greater` is 1 where x > y, else 0
 * (0 when either is NaN); its gradient is 0.
 */
export const BINARY_KINDS = { add: 0, sub: 1, mul: 2, div: 3, min: 4, max: 5, keep: 6, greater: 7 } as const;
export type BinaryKind = keyof typeof BINARY_KINDS;

export const unary = defineOp({
  forward: {
    name: "unary_forward",
    in: { x: "(N)" },
    out: { y: "(N)" },
    scalars: { kind: "u32", a: "f32", b: "f32" },
    flops: ({ N }) => N,
  },
  backward: {
    name: "unary_backward",
    in: { dy: "(N)", x: "(N)" },
    out: { dx: "(N)" },
    scalars: { kind: "u32", a: "f32", b: "f32" },
    flops: ({ N }) => N,
  },
});

export const binary = defineOp({
  forward: { name: "binary_forward", in: { x: "(N)", y: "(N)" }, out: { z: "(N)" }, scalars: { kind: "u32" }, flops: ({ N }) => N },
  backward: {
    name: "binary_backward",
    in: { dz: "(N)", x: "(N)", y: "(N)" },
    out: { dx: "(N)", dy: "(N)" },
    scalars: { kind: "u32" },
    flops: ({ N }) => 2 * N,
  },
});

export const accumulate = defineOp({
  /** y += x: gradients that meet at a fan-out. */
  add: { name: "accumulate_add", in: { x: "(N)" }, out: { y: "+= (N)" }, flops: ({ N }) => N },
});

export const fill = defineOp({
  /** y = value */
  set: { name: "fill_set", out: { y: "(N)" }, scalars: { value: "f32" }, flops: () => 0 },
});
