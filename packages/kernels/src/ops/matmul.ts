/** Linear layers: y = x · wᵀ (+ bias) (+ addend), with weights stored (out, in) as in Hugging Face checkpoints. */
import { defineOp, type Sizes } from "../contract";

const product = ({ M, K, N }: Sizes) => 2 * M * K * N;

export const matmul = defineOp({
  /** y = x · wᵀ + bias + addend. `addend` is a residual stream added in the epilogue. */
  forward: {
    name: "matmul_forward",
    in: { x: "(M, K)", w: "(N, K)", "bias?": "(N)", "addend?": "(M, N)" },
    out: { y: "(M, N)" },
    flops: (sizes) => product(sizes) + (sizes.has_bias + sizes.has_addend) * sizes.M * sizes.N,
  },
  /** dx = dy · w */
  backwardInput: { name: "matmul_backward_input", in: { dy: "(M, N)", w: "(N, K)" }, out: { dx: "(M, K)" }, flops: product },
  /** dw += dyᵀ · x */
  backwardWeight: { name: "matmul_backward_weight", in: { dy: "(M, N)", x: "(M, K)" }, out: { dw: "+= (N, K)" }, flops: product },
  /** db += Σ_m dy */
  backwardBias: { name: "matmul_backward_bias", in: { dy: "(M, N)" }, out: { db: "+= (N)" }, flops: ({ M, N }) => M * N },
});
