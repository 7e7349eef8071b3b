/** Reference of token-logprob; the oracle may hold one row of logits, the engine never holds all of them. */
import { tokenLogprob } from "../ops/token-logprob";
import { dot, logSumExp, softCap, softCapSlope } from "./attention";
import { implement } from "./implement";

/** z[j] = inverse_temperature · hidden[n] · head[j] for every j, the product capped where cap > 0. */
export function logitsOfRow(
  n: number,
  hidden: Float64Array,
  head: Float64Array,
  V: number,
  C: number,
  inverseTemperature: number,
  cap: number,
): number[] {
  return Array.from({ length: V }, (_, j) => inverseTemperature * softCap(dot(hidden, n * C, head, j * C, C), cap));
}

export const tokenLogprobReference = [
  implement<"hidden" | "head" | "targets" | "logp" | "entropy" | "lse" | "hit", "N" | "C" | "V" | "inverse_temperature" | "cap">(
    tokenLogprob.forward,
    ({ hidden, head, targets, logp, entropy, lse, hit }, { N, C, V, inverse_temperature, cap }) => {
      for (let n = 0; n < N; n++) {
        const z = logitsOfRow(n, hidden, head, V, C, inverse_temperature, cap);
        const target = z[targets[n]!]!;
        const sum = logSumExp(z);
        let expected = 0;
        for (const value of z) expected += Math.exp(value - sum) * value;
        lse[n] = sum;
        logp[n] = target - sum;
        entropy[n] = sum - expected;
        hit[n] = z.every((value) => value <= target) ? 1 : 0;
      }
    },
  ),
  implement<"dlogp" | "entropy" | "lse" | "coefficients", "N", "dentropy" | "dlse">(
    tokenLogprob.coefficients,
    ({ dlogp, dentropy, dlse, entropy, lse, coefficients }, { N }) => {
      for (let n = 0; n < N; n++) {
        const c1 = dentropy === undefined ? 0 : -dentropy[n]!;
        coefficients[4 * n] = dlogp[n]!;
        coefficients[4 * n + 1] = (dlse?.[n] ?? 0) - dlogp[n]! - c1 * (lse[n]! - entropy[n]!);
        coefficients[4 * n + 2] = c1;
        coefficients[4 * n + 3] = lse[n]!;
      }
    },
  ),
  implement<"coefficients" | "hidden" | "head" | "targets" | "dhidden", "N" | "C" | "V" | "inverse_temperature" | "cap", "dhead">(
    tokenLogprob.backward,
    ({ coefficients, hidden, head, targets, dhidden, dhead }, { N, C, V, inverse_temperature, cap }) => {
      dhidden.fill(0);
      for (let n = 0; n < N; n++) {
        const [a, c0, c1, lse] = coefficients.subarray(4 * n, 4 * n + 4) as unknown as [number, number, number, number];
        logitsOfRow(n, hidden, head, V, C, inverse_temperature, cap).forEach((z, j) => {
          const slope = softCapSlope(z / inverse_temperature, cap);
          const dz = slope * ((j === targets[n] ? a : 0) + Math.exp(z - lse) * (c0 + c1 * z));
          for (let c = 0; c < C; c++) {
            dhidden[n * C + c]! += inverse_temperature * dz * head[j * C + c]!;
            if (dhead) dhead[j * C + c]! += inverse_temperature * dz * hidden[n * C + c]!;
          }
        });
      }
    },
  ),
];
