/** Pairs on the host, drawn and computed with, for the tests of the preference objectives. */
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import fc from "fast-check";
import { expect } from "vitest";
import { matchByRank } from "../src/losses/preference/aot";
import { type CpoLossType, cpoForms } from "../src/losses/preference/cpo";
import { dpoLoss } from "../src/losses/preference/dpo";
import { type DpoLossType, dpoLosses } from "../src/losses/preference/dpo-loss-types";
import { type FDivergenceType, fDivergences } from "../src/losses/preference/f-divergence";
import type { Tensor } from "../src/tensor/tensor";
import { differentiate, exact, type Outcome } from "./loss-values";

export const reference = createReferenceDevice();
export const LN2 = Math.log(2);
export const BETA = 0.1;
export const SMOOTHING = 0.1;
export const dpoTypes = Object.keys(dpoLosses) as DpoLossType[];
export const divergences = Object.keys(fDivergences) as FDivergenceType[];
export const cpoTypes = Object.keys(cpoForms) as CpoLossType[];

/** One pair on the host. */
export interface Pair {
  readonly chosen: number;
  readonly rejected: number;
  readonly refChosen: number;
  readonly refRejected: number;
  readonly lengths: readonly [number, number];
}

export interface Overrides {
  readonly beta?: number;
  readonly labelSmoothing?: number;
  readonly divergence?: FDivergenceType;
  readonly alpha?: number;
}

/** A step of pairs, of which only `part` (default all) is in this micro-batch. Gradients to chosen and rejected log-probabilities. */
export function runDpo(
  types: readonly DpoLossType[],
  step: readonly Pair[],
  overrides: Overrides = {},
  part: readonly [number, number] = [0, step.length],
  device: Device = reference,
): Promise<Outcome> {
  const of = (key: "chosen" | "rejected" | "refChosen" | "refRejected") => step.map((pair) => pair[key]);
  const matched = matchByRank({ chosen: of("chosen"), rejected: of("rejected") }, { chosen: of("refChosen"), rejected: of("refRejected") });
  const slice = (values: ArrayLike<number>) => Array.from(values).slice(...part);
  return differentiate(
    device,
    [slice(of("chosen")), slice(of("rejected"))],
    (tape, [chosenLogps, rejectedLogps]) => {
      const constant = (values: ArrayLike<number>) => exact(tape, slice(values));
      return dpoLoss(
        tape,
        {
          chosenLogps: chosenLogps as Tensor,
          rejectedLogps: rejectedLogps as Tensor,
          refChosenLogps: constant(of("refChosen")),
          refRejectedLogps: constant(of("refRejected")),
          chosenInverseLengths: constant(step.map(({ lengths }) => 1 / lengths[0])),
          rejectedInverseLengths: constant(step.map(({ lengths }) => 1 / lengths[1])),
          matched: {
            refGaps: constant(matched.refGaps),
            chosenLogratios: constant(matched.chosenLogratios),
            rejectedLogratios: constant(matched.rejectedLogratios),
          },
        },
        {
          terms: types.map((type) => ({ loss: dpoLosses[type], weight: 1 })),
          divergence: fDivergences[overrides.divergence ?? "reverse_kl"],
          alpha: overrides.alpha ?? 0.5,
          beta: overrides.beta ?? BETA,
          labelSmoothing: overrides.labelSmoothing ?? SMOOTHING,
          discopopTau: 0.05,
          meanChosenLength: step.reduce((sum, { lengths }) => sum + lengths[0], 0) / step.length,
        },
      );
    },
    1 / step.length,
  );
}

export const appendix: Pair = { chosen: -3.3, rejected: -5.4, refChosen: -4, refRejected: -5, lengths: [5, 8] };

export const logp = fc.double({ min: -8, max: -0.5, noNaN: true });
export const pairArbitrary = fc.record({
  chosen: logp,
  rejected: logp,
  refChosen: logp,
  refRejected: logp,
  lengths: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })),
});
export const steps = fc.array(pairArbitrary, { minLength: 1, maxLength: 6 });
export const check = { seed: 7, numRuns: 12 };

export const expectClose = (got: readonly number[] | undefined, wanted: readonly number[] | undefined, digits = 10) => {
  expect(got?.length).toBe(wanted?.length);
  got?.forEach((value, i) => {
    expect(value).toBeCloseTo(wanted?.[i] as number, digits);
  });
};
