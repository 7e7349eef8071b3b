/** Reference of AdamW with global-norm clipping. */
import { adamw } from "../ops/adamw";
import { implement } from "./implement";

export const adamwReference = [
  implement<"g" | "sum", "N">(adamw.sumSquares, ({ g, sum }, { N }) => {
    let squares = 0;
    for (let n = 0; n < N; n++) squares += g[n]! ** 2;
    sum[0]! += squares;
  }),
  implement<"sum" | "stats", "max_norm">(adamw.clip, ({ sum, stats }, { max_norm }) => {
    const norm = Math.sqrt(sum[0]!);
    const clipped = max_norm === 0 ? 1 : Math.min(1, max_norm / (norm + 1e-6));
    stats[0] = norm;
    stats[1] = Number.isFinite(norm) ? clipped : 0;
  }),
  implement<"g" | "stats" | "p" | "m" | "v", "N" | "lr" | "beta1" | "beta2" | "eps" | "weight_decay" | "correction1" | "correction2">(
    adamw.step,
    ({ g, stats, p, m, v }, { N, lr, beta1, beta2, eps, weight_decay, correction1, correction2 }) => {
      const coefficient = stats[1]!;
      if (coefficient === 0) return;
      for (let n = 0; n < N; n++) {
        const clipped = coefficient * g[n]!;
        p[n]! -= lr * weight_decay * p[n]!;
        m[n] = beta1 * m[n]! + (1 - beta1) * clipped;
        v[n] = beta2 * v[n]! + (1 - beta2) * clipped * clipped;
        p[n]! -= (lr * (m[n]! / correction1)) / (Math.sqrt(v[n]! / correction2) + eps);
      }
    },
  ),
];
