/** AdamW (Loshchilov and Hutter 2019, as torch.optim.AdamW) with global-norm clipping, over flat buffers. */
import { defineOp } from "../contract";

export const adamw = defineOp({
  /** sum += Σ g²: one call per flat gradient buffer, in order. */
  sumSquares: { name: "adamw_sum_squares", in: { g: "(N)" }, out: { sum: "+= (O)" }, scalars: { O: "u32" }, flops: ({ N }) => 2 * N },
  /**
   * stats = (norm, coefficient), norm = √sum. As torch.nn.utils.clip_grad_norm_: coefficient = min(1, max_norm / (norm + 1e-6));
   * max_norm 0 means no clipping. A non-finite norm gives coefficient 0, which makes `step` leave everything as it is.
   */
  clip: { name: "adamw_clip", in: { sum: "(O)" }, out: { stats: "(Q)" }, scalars: { O: "u32", Q: "u32", max_norm: "f32" }, flops: () => 4 },
  /**
   * g' = coefficient g;  p -= lr weight_decay p;  m = β1 m + (1 - β1) g';  v = β2 v + (1 - β2) g'²;
   * p -= lr (m / correction1) / (√(v / correction2) + eps), with correction_i = 1 - β_i^t from the host.
   */
  step: {
    name: "adamw_step",
    in: { g: "(N)", stats: "(Q)" },
    inout: { p: "(N)", m: "(N)", v: "(N)" },
    scalars: {
      Q: "u32",
      lr: "f32",
      beta1: "f32",
      beta2: "f32",
      eps: "f32",
      weight_decay: "f32",
      correction1: "f32",
      correction2: "f32",
    },
    flops: ({ N }) => 16 * N,
  },
});
