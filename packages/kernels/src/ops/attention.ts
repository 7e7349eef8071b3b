/**
 * Causal attention over ragged rows with grouped-query heads, flash-style (Dao 2023): no (T, T) matrix is stored.
 *
 * `qkv` rows are [H query heads | K key heads | K value heads] of D channels; query head h uses key head ⌊h K / H⌋.
 * Row n of sequence s = [offsets[s], offsets[s + 1]) attends to rows offsets[s] .. n, or to the last `window` of them where window > 0.
 *   s_j = scale q·k_j, or cap tanh(scale q·k_j / cap) where cap > 0 (Gemma 2);  lse[n, h] = log Σ_j exp(s_j);  o = Σ_j exp(s_j - lse) v_j
 */
import { defineOp, type Sizes } from "../contract";

/** Pairs of a row and a row that it sees, for S sequences of N / S rows: the fewest that N rows in S sequences can have. */
function pairs({ N, S, window }: Sizes): number {
  if (S === 0) return 0;
  const length = N / S;
  const seen = window > 0 ? Math.min(window, length) : length;
  return S * ((seen * (seen + 1)) / 2 + (length - seen) * seen);
}

export const attention = defineOp({
  forward: {
    name: "attention_forward",
    in: { qkv: "(N, H * D + 2 * K * D)", offsets: "u32 (S + 1)" },
    out: { o: "(N, H * D)", lse: "(N, H)" },
    scalars: { S: "u32", H: "u32", K: "u32", D: "u32", scale: "f32", cap: "f32", window: "u32" },
    // q·k and P v
    flops: (sizes) => 4 * pairs(sizes) * sizes.H * sizes.D,
  },
  /** With P = exp(s - lse) and δ = Σ_d do·o: dv = Pᵀ do, dS = P (do·v - δ) (1 - (s / cap)²), dq = scale dS k, dk = scale dSᵀ q. */
  backward: {
    name: "attention_backward",
    in: { do: "(N, H * D)", qkv: "(N, H * D + 2 * K * D)", o: "(N, H * D)", lse: "(N, H)", offsets: "u32 (S + 1)" },
    out: { dqkv: "(N, H * D + 2 * K * D)" },
    scalars: { S: "u32", H: "u32", K: "u32", D: "u32", scale: "f32", cap: "f32", window: "u32" },
    // q·k again, do·v, and the three gradients
    flops: (sizes) => 10 * pairs(sizes) * sizes.H * sizes.D,
  },
});
