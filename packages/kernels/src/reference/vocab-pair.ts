/** Reference of vocab-pair: the definitions, one row of log-probabilities at a time. */
import { vocabPair } from "../ops/vocab-pair";
import { logSumExp, softCapSlope } from "./attention";
import { implement } from "./implement";
import { logitsOfRow } from "./token-logprob";

/** Σ a log(a / b); a term whose a underflows is 0. */
const relativeEntropy = (logA: readonly number[], logB: readonly number[]): number =>
  logA.reduce((sum, a, j) => sum + Math.exp(a) * (a - logB[j]!), 0);

/** log((1 - beta) e^a + beta e^b) */
function logMixture(a: number, b: number, beta: number): number {
  const top = Math.max(a, b);
  return top + Math.log((1 - beta) * Math.exp(a - top) + beta * Math.exp(b - top));
}

function divergenceOf(logP: readonly number[], logQ: readonly number[], beta: number): number {
  if (beta === 0) return relativeEntropy(logQ, logP);
  if (beta === 1) return relativeEntropy(logP, logQ);
  const logM = logP.map((p, j) => logMixture(p, logQ[j]!, beta));
  return beta * relativeEntropy(logQ, logM) + (1 - beta) * relativeEntropy(logP, logM);
}

/** What one token adds: Σ of a log(a / b) - a + b. */
function divergenceTerm(logP: number, logQ: number, beta: number): number {
  const between = (a: number, b: number) => Math.exp(a) * (a - b) - Math.exp(a) + Math.exp(b);
  if (beta === 0) return between(logQ, logP);
  if (beta === 1) return between(logP, logQ);
  const logM = logMixture(logP, logQ, beta);
  return beta * between(logQ, logM) + (1 - beta) * between(logP, logM);
}

/** p g: see the contract. */
function weightedSlope(logP: number, logQ: number, beta: number): number {
  if (beta === 0) return Math.exp(logP) - Math.exp(logQ);
  if (beta === 1) return Math.exp(logP) * (logP - logQ);
  return (1 - beta) * Math.exp(logP) * (logP - logMixture(logP, logQ, beta));
}

type Sides = "hidden" | "head" | "fixedHidden" | "fixedHead";
type Scalars = "inverse_temperature" | "fixed_inverse_temperature" | "cap" | "fixed_cap" | "beta";

export const vocabPairReference = [
  implement<Sides | "divergence" | "centre" | "lse" | "fixedLse", "N" | "C" | "V" | "D" | Scalars>(
    vocabPair.forward,
    (
      { hidden, head, fixedHidden, fixedHead, divergence, centre, lse, fixedLse },
      { N, C, V, D, inverse_temperature, fixed_inverse_temperature, cap, fixed_cap, beta },
    ) => {
      for (let n = 0; n < N; n++) {
        const z = logitsOfRow(n, hidden, head, V, C, inverse_temperature, cap);
        const u = logitsOfRow(n, fixedHidden, fixedHead, V, D, fixed_inverse_temperature, fixed_cap);
        const [zSum, uSum] = [logSumExp(z), logSumExp(u)];
        const logP = z.map((value) => value - zSum);
        const logQ = u.map((value) => value - uSum);
        divergence[n] = divergenceOf(logP, logQ, beta);
        centre[n] = logP.reduce((sum, p, j) => sum + weightedSlope(p, logQ[j]!, beta), 0);
        lse[n] = zSum;
        fixedLse[n] = uSum;
      }
    },
  ),
  implement<Sides | "lse" | "fixedLse" | "divergence" | "centre", "N" | "C" | "V" | "D" | "first" | Scalars>(
    vocabPair.sums,
    (
      { hidden, head, fixedHidden, fixedHead, lse, fixedLse, divergence, centre },
      { N, C, V, D, first, inverse_temperature, fixed_inverse_temperature, cap, fixed_cap, beta },
    ) => {
      for (let n = 0; n < N; n++) {
        const logP = logitsOfRow(n, hidden, head, V, C, inverse_temperature, cap).map((z) => z - lse[n]!);
        const logQ = logitsOfRow(n, fixedHidden, fixedHead, V, D, fixed_inverse_temperature, fixed_cap).map((u) => u - fixedLse[n]!);
        const slopes = logP.reduce((sum, p, j) => sum + weightedSlope(p, logQ[j]!, beta), 0);
        // The terms of a part of the vocabulary are those of the contract: the other forms agree with them only over all of it.
        const terms = logP.reduce((sum, p, j) => sum + divergenceTerm(p, logQ[j]!, beta), 0);
        divergence[n] = (first === 0 ? 0 : divergence[n]!) + terms;
        centre[n] = (first === 0 ? 0 : centre[n]!) + slopes;
      }
    },
  ),
  implement<"ddivergence" | "centre" | "lse" | "fixedLse" | "coefficients", "N">(
    vocabPair.coefficients,
    ({ ddivergence, centre, lse, fixedLse, coefficients }, { N }) => {
      for (let n = 0; n < N; n++) coefficients.set([ddivergence[n]!, centre[n]!, lse[n]!, fixedLse[n]!], 4 * n);
    },
  ),
  implement<"coefficients" | Sides | "dhidden", "N" | "C" | "V" | "D" | Scalars, "dhead">(
    vocabPair.backward,
    (
      { coefficients, hidden, head, fixedHidden, fixedHead, dhidden, dhead },
      { N, C, V, D, inverse_temperature, fixed_inverse_temperature, cap, fixed_cap, beta },
    ) => {
      dhidden.fill(0);
      for (let n = 0; n < N; n++) {
        const [upstream, centre, lse, fixedLse] = coefficients.subarray(4 * n, 4 * n + 4) as unknown as [number, number, number, number];
        const u = logitsOfRow(n, fixedHidden, fixedHead, V, D, fixed_inverse_temperature, fixed_cap);
        logitsOfRow(n, hidden, head, V, C, inverse_temperature, cap).forEach((z, j) => {
          const slope = softCapSlope(z / inverse_temperature, cap);
          const dz = slope * upstream * (weightedSlope(z - lse, u[j]! - fixedLse, beta) - Math.exp(z - lse) * centre);
          for (let c = 0; c < C; c++) {
            dhidden[n * C + c]! += inverse_temperature * dz * head[j * C + c]!;
            if (dhead) dhead[j * C + c]! += inverse_temperature * dz * hidden[n * C + c]!;
          }
        });
      }
    },
  ),
];
