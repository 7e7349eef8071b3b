/** Reference of causal attention over ragged rows: every score is computed where it is used, nothing is tiled. */
import { attention } from "../ops/attention";
import { implement } from "./implement";

/** Σ_d a[i + d] b[j + d] */
export function dot(a: Float64Array, i: number, b: Float64Array, j: number, D: number): number {
  let sum = 0;
  for (let d = 0; d < D; d++) sum += a[i + d]! * b[j + d]!;
  return sum;
}

/** log Σ exp, with the largest term taken out. */
export function logSumExp(scores: readonly number[]): number {
  const max = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const score of scores) sum += Math.exp(score - max);
  return max + Math.log(sum);
}

export const attentionReference = [
  implement<"qkv" | "offsets" | "o" | "lse", "S" | "H" | "K" | "D" | "scale">(
    attention.forward,
    ({ qkv, offsets, o, lse }, { S, H, K, D, scale }) => {
      const row = (H + 2 * K) * D;
      for (let s = 0; s < S; s++) {
        const begin = offsets[s]!;
        for (let n = begin; n < offsets[s + 1]!; n++) {
          for (let h = 0; h < H; h++) {
            const q = n * row + h * D;
            const k = (H + Math.floor((h * K) / H)) * D;
            const v = k + K * D;
            const scores: number[] = [];
            for (let j = begin; j <= n; j++) scores.push(scale * dot(qkv, q, qkv, j * row + k, D));
            lse[n * H + h] = logSumExp(scores);
            for (let d = 0; d < D; d++) {
              let sum = 0;
              for (let j = begin; j <= n; j++) sum += Math.exp(scores[j - begin]! - lse[n * H + h]!) * qkv[j * row + v + d]!;
              o[(n * H + h) * D + d] = sum;
            }
          }
        }
      }
    },
  ),
  implement<"do" | "qkv" | "o" | "lse" | "offsets" | "dqkv", "S" | "H" | "K" | "D" | "scale">(
    attention.backward,
    ({ do: dout, qkv, o, lse, offsets, dqkv }, { S, H, K, D, scale }) => {
      const row = (H + 2 * K) * D;
      dqkv.fill(0);
      for (let s = 0; s < S; s++) {
        const begin = offsets[s]!;
        for (let n = begin; n < offsets[s + 1]!; n++) {
          for (let h = 0; h < H; h++) {
            const q = n * row + h * D;
            const out = (n * H + h) * D;
            const delta = dot(dout, out, o, out, D);
            for (let j = begin; j <= n; j++) {
              const k = j * row + (H + Math.floor((h * K) / H)) * D;
              const v = k + K * D;
              const p = Math.exp(scale * dot(qkv, q, qkv, k, D) - lse[n * H + h]!);
              const ds = p * (dot(dout, out, qkv, v, D) - delta);
              for (let d = 0; d < D; d++) {
                dqkv[v + d]! += p * dout[out + d]!;
                dqkv[q + d]! += scale * ds * qkv[k + d]!;
                dqkv[k + d]! += scale * ds * qkv[q + d]!;
              }
            }
          }
        }
      }
    },
  ),
];
