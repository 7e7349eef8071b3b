/**
 * GMPO: one ratio per completion, the geometric mean of token ratios that are clipped one by one in log space.
 *
 *   x_t = logp_t - old_t,   y_t = min(x_t, ε_high) where A > 0, max(x_t, -ε_low) where A < 0,   L_t = -exp(mean of y) A
 *
 * Zhao et al. 2025 (ε = 0.4); matches TRL's GMPOTrainer, whose mean over completions is the weight 1 / (B n) of every token.
 * Only tokens with an advantage other than 0 enter the two means (y and A), so that a token mask leaves tokens out as in TRL.
 */
import { affine, binary, mul, sub, unary } from "../../autograd/elementwise";
import { segmentBroadcast, segmentSum } from "../../autograd/segment";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import { type PolicyInputs, zerosLike } from "./inputs";
import { boundedExp, logRatios } from "./ratios";

/** losses (M), the same for every token of a completion */
export function gmpoSurrogate(
  tape: Tape,
  inputs: Pick<PolicyInputs, "logps" | "oldLogps" | "advantages" | "segments">,
  { epsilonLow, epsilonHigh }: { readonly epsilonLow: number; readonly epsilonHigh: number },
): { losses: Tensor } {
  const { advantages, segments } = inputs;
  const zeros = zerosLike(tape, advantages);
  const sign = { ...sub(tape, binary(tape, "greater", advantages, zeros), binary(tape, "greater", zeros, advantages)) };
  const x = logRatios(tape, inputs);
  const clipped = unary(tape, "clamp", x, -epsilonLow, epsilonHigh);
  // sgn · min(sgn · x, sgn · clip(x)) is the minimum for A > 0, the maximum for A < 0 and 0 for A = 0.
  const y = mul(tape, sign, binary(tape, "min", mul(tape, sign, x), mul(tape, sign, clipped)));
  const counted = segmentSum(tape, unary(tape, "abs", sign), segments.offsets);
  const inverse = { ...unary(tape, "reciprocal", unary(tape, "clamp", counted, 1, 1e9)) }; // (S)
  const meanOf = (values: Tensor) => mul(tape, segmentSum(tape, values, segments.offsets), inverse); // (S)
  const advantage = { ...meanOf(advantages) };
  const losses = affine(tape, mul(tape, boundedExp(tape, meanOf(y)), advantage), -1); // (S)
  return { losses: segmentBroadcast(tape, losses, segments.offsets, advantages.shape[0] as number) };
}
