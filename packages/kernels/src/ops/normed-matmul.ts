/**
 * Linear layers of what an RMS norm makes of x, and gated activations of the result: what a pass without gradients needs of rms-norm, matmul (or
 * packed-weight) and gated-activation, with nothing kept in between.
 *
 *   x̂[m] = (offset + gain) · x[m] / √(mean(x[m]²) + eps)
 */
import { defineOp, type Sizes } from "../contract";

const norm = ({ M, K }: Sizes) => 4 * M * K;
const SCALARS = { eps: "f32", offset: "f32" } as const;

const forwardFlops = (sizes: Sizes) => norm(sizes) + 2 * sizes.M * sizes.K * sizes.N + sizes.has_bias * sizes.M * sizes.N;
const gatedFlops = (sizes: Sizes) => norm(sizes) + sizes.M * sizes.F * (4 * sizes.K + 2 * sizes.has_bias + 5);

export const normedMatmul = defineOp({
  /** y = x̂ · wᵀ + bias */
  forward: {
    name: "normed_matmul_forward",
    in: { x: "(M, K)", w: "(N, K)", gain: "(K)", "bias?": "(N)" },
    out: { y: "(M, N)" },
    scalars: SCALARS,
    flops: forwardFlops,
  },
  /** y = act(gate) · up of [gate | up] = x̂ · wᵀ + bias; `kind` as in gated-activation. */
  gated: {
    name: "normed_matmul_gated",
    in: { x: "(M, K)", w: "(2 * F, K)", gain: "(K)", "bias?": "(2 * F)" },
    out: { y: "(M, F)" },
    scalars: { ...SCALARS, kind: "u32" },
    flops: gatedFlops,
  },
  /** forward with w in packed rows of W words, in the format with the id `format`. */
  packedForward: {
    name: "normed_matmul_packed_forward",
    in: { x: "(M, K)", w: "u32 (N, W)", gain: "(K)", "bias?": "(N)" },
    out: { y: "(M, N)" },
    scalars: { ...SCALARS, format: "u32" },
    flops: forwardFlops,
  },
  /** gated with w in packed rows. */
  packedGated: {
    name: "normed_matmul_packed_gated",
    in: { x: "(M, K)", w: "u32 (2 * F, W)", gain: "(K)", "bias?": "(2 * F)" },
    out: { y: "(M, F)" },
    scalars: { ...SCALARS, kind: "u32", format: "u32" },
    flops: gatedFlops,
  },
});
