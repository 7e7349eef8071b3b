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
import { type ImportanceSamplingLevel, importanceRatios, type Ratios } from "./ratios";
import { dotProduct, type PolicyResult, sumOf } from "./result";
import { type SapoOptions, sapoSurrogate } from "./sapo";
import { type VespoOptions, vespoSurrogate } from "./vespo";

/** A micro-batch as an objective receives it. */
export interface ObjectiveInputs extends PolicyInputs {
  /** See {@link vespoSurrogate}; for every other surrogate the sampler's correction is in the advantages. (M) */
  readonly samplerFactors?: Tensor | undefined;
}

/** What a surrogate may look at. */
export interface SurrogateInputs extends ObjectiveInputs {
  /** r_t of the level, computed where it is asked for. (M) */
  readonly ratios: Tensor;
}

export type Surrogate = (tape: Tape, inputs: SurrogateInputs) => { readonly losses: Tensor; readonly phi?: Tensor };

export type PolicyObjective = (tape: Tape, inputs: ObjectiveInputs) => PolicyResult;

/** The KL term in the loss; there is one where the inputs have `refLogps`. */
export interface KlOptions {
  /** β; at 0 the KL is measured only. */
  readonly beta: number;
  readonly klEstimator: KlEstimator;
  /** Multiply KL_t by the ratio, not detached: the gradient is then that of KL(π ‖ π_ref). TRL's use_bias_correction_kl. */
  readonly isKlCorrected: boolean;
}

export interface SurrogateOptions {
  readonly clip: ClipOptions;
  readonly sapo: SapoOptions;
  readonly vespo: VespoOptions;
}

const clipped =
  ({ clip }: SurrogateOptions): Surrogate =>
  (tape, inputs) =>
    clippedSurrogate(tape, inputs, clip);

/** loss type -> surrogate */
export const policySurrogates: Readonly<Record<LossType, (options: SurrogateOptions) => Surrogate>> = {
  grpo: clipped,
  bnpo: clipped,
  dr_grpo: clipped,
  dapo: clipped,
  luspo: clipped,
  cispo:
    ({ clip }) =>
    (tape, inputs) =>
      cispoSurrogate(tape, inputs, { low: 0, high: clip.epsilonHigh }),
  sapo:
    ({ sapo }) =>
    (tape, inputs) =>
      sapoSurrogate(tape, inputs, sapo),
  vespo:
    ({ vespo }) =>
    (tape, inputs) =>
      vespoSurrogate(tape, inputs, vespo),
  gmpo:
    ({ clip }) =>
    (tape, inputs) =>
      gmpoSurrogate(tape, inputs, clip),
};

/** Loss types that take token log-ratios of their own, so that no other level than "token" means anything. */
export const TOKEN_LEVEL_ONLY: ReadonlySet<LossType> = new Set(["vespo", "gmpo"]);

/** The objective that a loss type and a level name. Clipped at token level, with a plain k3 term or none, it is one fused op. */
export function policyObjective(
  options: SurrogateOptions & KlOptions & { readonly lossType: LossType; readonly level: ImportanceSamplingLevel },
): PolicyObjective {
  const { lossType, level, clip, beta, klEstimator, isKlCorrected } = options;
  const composed = composedObjective(policySurrogates[lossType](options), importanceRatios[level], options);
  // The fused op takes the clipped branch for constant, which it is not where the cap lies within the clip range.
  const isCapBeyondClip = clip.delta === 0 || clip.delta >= 1 + clip.epsilonHigh;
  if (policySurrogates[lossType] !== clipped || level !== "token" || clip.dualClip > 0 || !isCapBeyondClip) return composed;
  const isPlainK3 = klEstimator === "k3" && !isKlCorrected;
  return (tape, inputs) => (inputs.refLogps && !isPlainK3 ? composed(tape, inputs) : fusedClippedLoss(tape, inputs, clip, beta));
}

/** Any surrogate, for ratios of any level, with a KL term. */
export function composedObjective(
  surrogate: Surrogate,
  ratiosOf: Ratios,
  { beta, klEstimator, isKlCorrected }: KlOptions,
): PolicyObjective {
  return (tape, given) => {
    const { logps, refLogps, weights, segments } = given;
    let known: Tensor | undefined;
    const inputs = {
      ...given,
      get ratios() {
        known ??= ratiosOf(tape, given);
        return known;
      },
    };
    const { losses, phi } = surrogate(tape, inputs);
    const estimate = refLogps && klEstimate(tape, sub(tape, logps, refLogps), klEstimator);
    const kl = estimate && isKlCorrected ? mul(tape, inputs.ratios, estimate) : estimate;
    const all = kl && beta !== 0 ? add(tape, losses, affine(tape, kl, beta)) : losses;
    return {
      roots: [[all, weights]],
      loss: dotProduct(tape, all, weights),
      kl: kl && sumOf(tape, kl),
      phi: phi && dotProduct(tape, phi, segmentBroadcast(tape, segments.inverseLengths, segments.offsets, logps.shape[0] as number)),
    };
  };
}
