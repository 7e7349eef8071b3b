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

/** Stands for the logit of a target that is in none of the parts so far. */
const NO_LOGIT = Math.fround(-3e38);

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
  implement<"hidden" | "head" | "targets" | "statistics", "N" | "C" | "V" | "inverse_temperature" | "cap" | "first">(
    tokenLogprob.statistics,
    ({ hidden, head, targets, statistics }, { N, C, V, inverse_temperature, cap, first }) => {
      for (let n = 0; n < N; n++) {
        const z = logitsOfRow(n, hidden, head, V, C, inverse_temperature, cap);
        const before = first === 0 ? [Number.NEGATIVE_INFINITY, 0, 0, NO_LOGIT] : [...statistics.subarray(4 * n, 4 * n + 4)];
        const [oldMax, oldSum, oldCentred, oldLogit] = before as [number, number, number, number];
        const max = z.reduce((most, value) => Math.max(most, value), oldMax);
        const factor = Math.exp(oldMax - max);
        let sum = factor * oldSum;
        let centred = factor === 0 ? 0 : factor * (oldCentred + (oldMax - max) * oldSum);
        for (const value of z) {
          sum += Math.exp(value - max);
          centred += Math.exp(value - max) * (value - max);
        }
        statistics.set([max, sum, centred, z[targets[n]! - first] ?? oldLogit], 4 * n);
      }
    },
  ),
  implement<"statistics" | "logp" | "entropy" | "lse" | "hit", "N">(
    tokenLogprob.results,
    ({ statistics, logp, entropy, lse, hit }, { N }) => {
      for (let n = 0; n < N; n++) {
        const [max, sum, centred, target] = statistics.subarray(4 * n, 4 * n + 4) as unknown as [number, number, number, number];
        lse[n] = max + Math.log(sum);
        logp[n] = target - lse[n]!;
        entropy[n] = Math.log(sum) - centred / sum;
        hit[n] = target === max ? 1 : 0;
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
  implement<"coefficients" | "hidden" | "head" | "targets" | "dhidden", "N" | "C" | "V" | "inverse_temperature" | "cap" | "first", "dhead">(
    tokenLogprob.backward,
    ({ coefficients, hidden, head, targets, dhidden, dhead }, { N, C, V, inverse_temperature, cap, first }) => {
      dhidden.fill(0);
      for (let n = 0; n < N; n++) {
        const [a, c0, c1, lse] = coefficients.subarray(4 * n, 4 * n + 4) as unknown as [number, number, number, number];
        logitsOfRow(n, hidden, head, V, C, inverse_temperature, cap).forEach((z, j) => {
          const slope = softCapSlope(z / inverse_temperature, cap);
          const dz = slope * ((first + j === targets[n] ? a : 0) + Math.exp(z - lse) * (c0 + c1 * z));
          for (let c = 0; c < C; c++) {
            dhidden[n * C + c]! += inverse_temperature * dz * head[j * C + c]!;
            if (dhead) dhead[j * C + c]! += inverse_temperature * dz * hidden[n * C + c]!;
          }
        });
      }
    },
  ),
];
