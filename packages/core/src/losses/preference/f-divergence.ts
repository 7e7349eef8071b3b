/**
 * DPO under another divergence than the reverse KL: what takes the place of the log-ratio x = log π - log π_ref.
 *
 * f-DPO: Wang et al. 2023, equation 11: the score is f'(π / π_ref) without its constants, which a difference drops. Matches TRL's
 * `f_divergence_type`. Departure: forward_kl has the exponent limited as alpha_divergence has, so that it stays finite in f32.
 */
import { affine, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";

export type FDivergenceType = "reverse_kl" | "forward_kl" | "js_divergence" | "alpha_divergence";

/** Log-ratios (N) -> scores (N). `alpha` is read by alpha_divergence only. */
export type FDivergence = (tape: Tape, logratios: Tensor, alpha: number) => Tensor;

/** exp(80) is finite in f32. */
const EXPONENT_LIMIT = 80;
/** Nearer to 1 than this, alpha_divergence is its limit, the reverse KL. */
const ALPHA_TOLERANCE = 1e-6;

/** exp(min(scale · x, 80)); below, exp goes to 0 by itself. */
function limitedExp(tape: Tape, x: Tensor, scale: number): Tensor {
  return unary(tape, "exp", unary(tape, "clamp", affine(tape, x, scale), -3e38, EXPONENT_LIMIT));
}

/** reverse_kl x, forward_kl -e⁻ˣ, js_divergence log σ(x), alpha_divergence e^((α - 1) x) / (α - 1). */
export const fDivergences: Readonly<Record<FDivergenceType, FDivergence>> = {
  reverse_kl: (_, x) => x,
  forward_kl: (tape, x) => affine(tape, limitedExp(tape, x, -1), -1),
  js_divergence: (tape, x) => unary(tape, "log_sigmoid", x),
  alpha_divergence: (tape, x, alpha) =>
    Math.abs(alpha - 1) < ALPHA_TOLERANCE ? x : affine(tape, limitedExp(tape, x, alpha - 1), 1 / (alpha - 1)),
};
