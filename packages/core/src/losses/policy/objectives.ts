/**
 * TRL's `loss_type` and `importance_sampling_level` as functions of one shape, resolved once by a trainer: a micro-batch in, gradients out.
 *
 *   loss = Σ_t w_t (L_t + β KL_t)
 *
 * A loss type is a surrogate L (below) and a reduction w (token-weights.ts); a level is the ratio that the surrogate sees (ratios.ts).
 */
import { add, affine, mul, sub } from "../../autograd/elementwise";
import { segmentBroadcast } from "../../autograd/segment";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { LossType } from "../token-weights";
import { cispoSurrogate } from "./cispo";
import { type ClipOptions, clippedSurrogate } from "./clipped";
import { fusedClippedLoss } from "./fused-clipped";
import { gmpoSurrogate } from "./gmpo";
import type { PolicyInputs } from "./inputs";
import { type KlEstimator, klEstimate } from "./kl";
import { type ImportanceSamplingLevel, importanceRatios } from "./ratios";
import { dotProduct, type PolicyResult, total } from "./result";
import { type SapoOptions, sapoSurrogate } from "./sapo";
import { type VespoOptions, vespoSurrogate } from "./vespo";

/** What a surrogate may look at. */
export interface SurrogateInputs extends PolicyInputs {
  /** r_t of the level. (M) */
  readonly ratios: Tensor;
  /** See {@link vespoSurrogate}; every other surrogate has the sampler's correction in its advantages. (M) */
  readonly samplerFactors?: Tensor | undefined;
}

export interface SurrogateOptions {
  readonly clip: ClipOptions;
  readonly sapo: SapoOptions;
  readonly vespo: VespoOptions;
}

export type Surrogate = (
  tape: Tape,
  inputs: SurrogateInputs,
  options: SurrogateOptions,
) => { readonly losses: Tensor; readonly phi?: Tensor };

const clipped: Surrogate = (tape, inputs, { clip }) => clippedSurrogate(tape, inputs, clip);

/** loss type -> losses (M) */
export const surrogates: Readonly<Record<LossType, Surrogate>> = {
  grpo: clipped,
  bnpo: clipped,
  dr_grpo: clipped,
  dapo: clipped,
  luspo: clipped,
  cispo: (tape, inputs, { clip }) => cispoSurrogate(tape, inputs, { low: 0, high: clip.epsilonHigh }),
  sapo: (tape, inputs, { sapo }) => sapoSurrogate(tape, inputs, sapo),
  vespo: (tape, inputs, { vespo }) => vespoSurrogate(tape, inputs, vespo),
  gmpo: (tape, inputs, { clip }) => gmpoSurrogate(tape, inputs, clip),
};

/** Loss types that look at token log-ratios of their own: a level changes nothing but the KL term's factor. */
export const LEVEL_FREE: ReadonlySet<LossType> = new Set(["vespo", "gmpo"]);

export interface PolicyObjectiveOptions extends SurrogateOptions {
  readonly lossType: LossType;
  readonly level: ImportanceSamplingLevel;
  /** β */
  readonly beta: number;
  readonly klEstimator: KlEstimator;
  /** Multiply KL_t by the ratio, not detached: the gradient is then that of KL(π ‖ π_ref). TRL's use_bias_correction_kl. */
  readonly isKlCorrected: boolean;
}

export type PolicyObjective = (tape: Tape, inputs: Omit<SurrogateInputs, "ratios">) => PolicyResult;

/** The objective that the options name. */
export function policyObjective(options: PolicyObjectiveOptions): PolicyObjective {
  const { lossType, level, clip, beta, klEstimator, isKlCorrected } = options;
  const surrogate = surrogates[lossType];
  if (surrogate === clipped && level === "token" && clip.dualClip === 0) {
    return (tape, inputs) => {
      const isFusible = !inputs.refLogps || (klEstimator === "k3" && !isKlCorrected);
      return isFusible ? fusedClippedLoss(tape, inputs, clip, beta) : composed(tape, inputs);
    };
  }
  return composed;

  function composed(tape: Tape, given: Omit<SurrogateInputs, "ratios">): PolicyResult {
    const { logps, refLogps, weights, segments } = given;
    const inputs = { ...given, ratios: importanceRatios[level](tape, given) };
    const { losses, phi } = surrogate(tape, inputs, options);
    const kl = refLogps && klTerm(tape, inputs.ratios, sub(tape, logps, refLogps));
    const all = kl && beta !== 0 ? add(tape, losses, affine(tape, kl, beta)) : losses;
    return {
      roots: [[all, weights]],
      loss: dotProduct(tape, all, weights),
      kl: kl && total(tape, kl),
      phi: phi && dotProduct(tape, phi, segmentBroadcast(tape, segments.inverseLengths, segments.offsets, logps.shape[0] as number)),
    };
  }

  function klTerm(tape: Tape, ratios: Tensor, a: Tensor): Tensor {
    const kl = klEstimate(tape, a, klEstimator);
    return isKlCorrected ? mul(tape, ratios, kl) : kl;
  }
}
