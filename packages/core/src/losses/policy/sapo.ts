/**
 * SAPO: a soft gate instead of a clip.
 *
 *   L_t = -(4 / τ) sigmoid(τ (r_t - 1)) A_t,   τ = τ_pos where A_t > 0, else τ_neg
 *
 * Gao et al. 2025 (soft adaptive policy optimisation); matches TRL's loss_type "sapo". At r = 1 its gradient is the policy gradient.
 */
import { affine, binary, mul, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import { zerosLike } from "./inputs";

export interface SapoOptions {
  /** TRL: 1.0 */
  readonly temperaturePos: number;
  /** TRL: 1.05, which lets go of tokens with A < 0 sooner. */
  readonly temperatureNeg: number;
}

/** ratios, advantages (M) -> losses (M) */
export function sapoSurrogate(
  tape: Tape,
  { ratios, advantages }: { readonly ratios: Tensor; readonly advantages: Tensor },
  { temperaturePos, temperatureNeg }: SapoOptions,
): { losses: Tensor } {
  const isPositive = binary(tape, "greater", advantages, zerosLike(tape, advantages));
  const temperatures = { ...affine(tape, isPositive, temperaturePos - temperatureNeg, temperatureNeg) };
  const gate = unary(tape, "sigmoid", mul(tape, temperatures, affine(tape, ratios, 1, -1)));
  const scale = { ...binary(tape, "div", advantages, temperatures) };
  return { losses: affine(tape, mul(tape, gate, scale), -4) };
}
