/**
 * VESPO: the policy gradient of each completion is scaled by a smooth, detached function of its whole importance weight.
 *
 *   L_t = -φ(w) A_t logp_t,   φ(w) = e^λ w^k e^(-λ w)   (φ(1) = 1),   w = exp(Σ_t clamp(logp_t - old_t, ±20) [+ Σ_t clamp(log c_t, log 1e-8, 20)])
 *   log w is clamped to [log 1e-8, 20];  (k, λ) = (k_pos, λ_pos) where A_t >= 0, else (k_neg, λ_neg)
 *
 * Matches TRL's loss_type "vespo"; c_t are sampler corrections, which belong into w here and are no factor of the loss.
 */
import { hostMath } from "@trimtab/kernels";
import { add, affine, binary, mul, sub, unary } from "../../autograd/elementwise";
import { segmentBroadcast, segmentSum } from "../../autograd/segment";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import { type PolicyInputs, zerosLike } from "./inputs";
import { LOG_RATIO_LIMIT } from "./ratios";

/** TRL: 2, 3, 3, 2. */
export interface VespoOptions {
  readonly kPos: number;
  readonly lambdaPos: number;
  readonly kNeg: number;
  readonly lambdaNeg: number;
}

/** losses and phi (M); phi is the same for every token of a completion whose advantages have one sign. */
export function vespoSurrogate(
  tape: Tape,
  inputs: Pick<PolicyInputs, "logps" | "oldLogps" | "advantages" | "segments"> & {
    /** c_t: the product over a completion is its sampler's importance weight. (M) */
    readonly samplerFactors?: Tensor | undefined;
  },
  { kPos, lambdaPos, kNeg, lambdaNeg }: VespoOptions,
): { losses: Tensor; phi: Tensor } {
  const { logps, oldLogps, advantages, segments, samplerFactors } = inputs;
  const lowest = hostMath.log(1e-8);
  // Without a gradient: both sides are handles of their own.
  const ratios = unary(tape, "clamp", sub(tape, { ...logps }, { ...oldLogps }), -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
  const factors = samplerFactors && unary(tape, "clamp", unary(tape, "log", samplerFactors), lowest, LOG_RATIO_LIMIT);
  const weights = segmentSum(tape, factors ? add(tape, ratios, factors) : ratios, segments.offsets);
  const bounded = unary(tape, "clamp", weights, lowest, LOG_RATIO_LIMIT); // (S)
  const logW = segmentBroadcast(tape, bounded, segments.offsets, logps.shape[0] as number); // (M)

  const isNegative = binary(tape, "greater", zerosLike(tape, advantages), advantages);
  const k = affine(tape, isNegative, kNeg - kPos, kPos);
  const lambda = affine(tape, isNegative, lambdaNeg - lambdaPos, lambdaPos);
  // log φ = λ (1 - w) + k log w
  const logPhi = add(tape, mul(tape, lambda, affine(tape, unary(tape, "exp", logW), -1, 1)), mul(tape, k, logW));
  const phi = { ...unary(tape, "exp", logPhi) };
  return { losses: affine(tape, mul(tape, { ...mul(tape, phi, advantages) }, logps), -1), phi };
}
