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

/** A score that a soft cap bounds; 0 is no cap. */
export const softCap = (score: number, cap: number): number => (cap > 0 ? cap * Math.tanh(score / cap) : score);

/** The derivative of {@link softCap} from its value. */
export const softCapSlope = (capped: number, cap: number): number => (cap > 0 ? 1 - (capped / cap) ** 2 : 1);

/** The first of the rows begin .. n that row n sees; window 0 is no window. */
const firstSeen = (begin: number, n: number, window: number): number => (window > 0 ? Math.max(begin, n - window + 1) : begin);

export const attentionReference = [
  implement<"qkv" | "offsets" | "o" | "lse", "S" | "H" | "K" | "D" | "scale" | "cap" | "window">(
    attention.forward,
    ({ qkv, offsets, o, lse }, { S, H, K, D, scale, cap, window }) => {
      const row = (H + 2 * K) * D;
      for (let s = 0; s < S; s++) {
        const begin = offsets[s]!;
        for (let n = begin; n < offsets[s + 1]!; n++) {
          for (let h = 0; h < H; h++) {
            const q = n * row + h * D;
            const k = (H + Math.floor((h * K) / H)) * D;
            const v = k + K * D;
            const first = firstSeen(begin, n, window);
            const scores: number[] = [];
            for (let j = first; j <= n; j++) scores.push(softCap(scale * dot(qkv, q, qkv, j * row + k, D), cap));
            lse[n * H + h] = logSumExp(scores);
            for (let d = 0; d < D; d++) {
              let sum = 0;
              for (let j = first; j <= n; j++) sum += Math.exp(scores[j - first]! - lse[n * H + h]!) * qkv[j * row + v + d]!;
              o[(n * H + h) * D + d] = sum;
            }
          }
        }
      }
    },
  ),
  implement<"do" | "qkv" | "o" | "lse" | "offsets" | "dqkv", "S" | "H" | "K" | "D" | "scale" | "cap" | "window">(
    attention.backward,
    ({ do: dout, qkv, o, lse, offsets, dqkv }, { S, H, K, D, scale, cap, window }) => {
      const row = (H + 2 * K) * D;
      dqkv.fill(0);
      for (let s = 0; s < S; s++) {
        const begin = offsets[s]!;
        for (let n = begin; n < offsets[s + 1]!; n++) {
          for (let h = 0; h < H; h++) {
            const q = n * row + h * D;
            const out = (n * H + h) * D;
            const delta = dot(dout, out, o, out, D);
            for (let j = firstSeen(begin, n, window); j <= n; j++) {
              const k = j * row + (H + Math.floor((h * K) / H)) * D;
              const v = k + K * D;
              const score = softCap(scale * dot(qkv, q, qkv, k, D), cap);
              const p = Math.exp(score - lse[n * H + h]!);
              const ds = p * (dot(dout, out, qkv, v, D) - delta) * softCapSlope(score, cap);
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
