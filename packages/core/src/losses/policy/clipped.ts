/**
 * The clipped surrogate of PPO, for ratios of any level.
 *
 *   L_t = -min(min(r_t, δ) A_t, clip(r_t, 1 - ε_low, 1 + ε_high) A_t);   dual clip: min(L_t, -c A_t) where A_t < 0
 *
 * PPO: Schulman et al. 2017, equation 7. δ (two-sided clip): INTELLECT-2. Dual clip: Ye et al. 2020, as in verl and OpenRLHF.
 * Matches TRL's GRPOTrainer (grpo, bnpo, dr_grpo, dapo, luspo) and RLOOTrainer.
 */
import { affine, binary, mul, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

export interface ClipOptions {
  /** The ratio is clipped to [1 - epsilonLow, 1 + epsilonHigh]. */
  readonly epsilonLow: number;
  readonly epsilonHigh: number;
  /** Two-sided clip: cap of the unclipped ratio; 0 = none. */
  readonly delta: number;
  /** c > 1: bounds the loss of a token with A < 0 by c |A|; 0 = none. */
  readonly dualClip: number;
}

/** ratios, advantages (M) -> losses (M) */
export function clippedSurrogate(
  tape: Tape,
  { ratios, advantages }: { readonly ratios: Tensor; readonly advantages: Tensor },
  { epsilonLow, epsilonHigh, delta, dualClip }: ClipOptions,
): { losses: Tensor } {
  const capped = delta > 0 ? unary(tape, "clamp", ratios, 0, delta) : ratios;
  const clipped = unary(tape, "clamp", ratios, 1 - epsilonLow, 1 + epsilonHigh);
  const losses = affine(tape, binary(tape, "min", mul(tape, capped, advantages), mul(tape, clipped, advantages)), -1);
  if (dualClip === 0) return { losses };
  // Where A >= 0 the loss is never above 0 <= c |A|, so that one bound serves both signs.
  const bound = { ...affine(tape, unary(tape, "abs", advantages), dualClip) };
  return { losses: binary(tape, "min", losses, bound) };
}
