/**
 * Importance ratios r_t of the policy to the one that is being improved on, one per token (M), at four levels:
 *
 *   token            r_t = exp(x_t),  x_t = logp_t - old_t                                          PPO, GRPO
 *   sequence         r_t = exp(mean of x over the completion)                                       GSPO: Zheng et al. 2025, equation 7
 *   sequence_token   the value of `sequence`, the gradient of x_t alone: exp(sg(mean x) + logp_t - sg(logp_t))   GSPO-token
 *   sequence_sum     r_t = exp(sum of x over the completion)                                        RLOO: the whole completion is one action
 *
 * Matches TRL's `importance_sampling_level` and RLOOTrainer. Departure: what is exponentiated is clamped to ±20, with no gradient beyond.
 */
import { add, mul, sub, unary } from "../../autograd/elementwise";
import { segmentBroadcast, segmentSum } from "../../autograd/segment";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { PolicyInputs } from "./inputs";

/** TRL's names. */
export type ImportanceSamplingLevel = "token" | "sequence" | "sequence_token";

type RatioInputs = Pick<PolicyInputs, "logps" | "oldLogps" | "segments">;
export type Ratios = (tape: Tape, inputs: RatioInputs) => Tensor;

/** Log-ratios are clamped to ± this before exp. */
export const LOG_RATIO_LIMIT = 20;

/** x_t = logp_t - old_t (M); no gradient into old, even where it is `logps` itself. */
export function logRatios(tape: Tape, { logps, oldLogps }: Pick<PolicyInputs, "logps" | "oldLogps">): Tensor {
  return sub(tape, logps, { ...oldLogps });
}

/** exp(x), x clamped to ±20. */
export function boundedExp(tape: Tape, x: Tensor): Tensor {
  return unary(tape, "exp", unary(tape, "clamp", x, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT));
}

const meanLogRatio = (tape: Tape, inputs: RatioInputs): Tensor =>
  mul(tape, segmentSum(tape, logRatios(tape, inputs), inputs.segments.offsets), inputs.segments.inverseLengths); // (S)

const perToken = (tape: Tape, x: Tensor, { logps, segments }: RatioInputs): Tensor =>
  segmentBroadcast(tape, x, segments.offsets, logps.shape[0] as number);

export const importanceRatios: Readonly<Record<ImportanceSamplingLevel | "sequence_sum", Ratios>> = {
  token: (tape, inputs) => boundedExp(tape, logRatios(tape, inputs)),

  sequence: (tape, inputs) => perToken(tape, boundedExp(tape, meanLogRatio(tape, inputs)), inputs),

  sequence_token(tape, inputs) {
    const value = { ...perToken(tape, meanLogRatio(tape, inputs), inputs) };
    return boundedExp(tape, add(tape, value, sub(tape, inputs.logps, { ...inputs.logps })));
  },

  sequence_sum: (tape, inputs) =>
    perToken(tape, boundedExp(tape, segmentSum(tape, logRatios(tape, inputs), inputs.segments.offsets)), inputs),
};
