/**
 * CISPO: the importance ratio is clipped and detached, so that every token keeps its gradient.
 *
 *   L_t = -sg(clip(r_t, low, high)) A_t logp_t
 *
 * MiniMax-M1 (2025). TRL's cap is low = 0, high = `epsilon_high`, an upper bound of the ratio itself (5 in ScaleRL);
 * verl's clip is low = 1 - ε_low, high = 1 + ε_high.
 */
import { affine, mul, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

/** logps, ratios, advantages (M) -> losses (M) */
export function cispoSurrogate(
  tape: Tape,
  { logps, ratios, advantages }: { readonly logps: Tensor; readonly ratios: Tensor; readonly advantages: Tensor },
  { low, high }: { readonly low: number; readonly high: number },
): { losses: Tensor } {
  const clipped = { ...unary(tape, "clamp", ratios, low, high) };
  return { losses: affine(tape, mul(tape, { ...mul(tape, clipped, advantages) }, logps), -1) };
}
