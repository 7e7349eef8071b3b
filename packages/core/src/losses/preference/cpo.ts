/**
 * Contrastive preference optimisation and its relatives: a margin between log-probabilities, without a reference model, and
 * supervised learning on the chosen completion.
 *
 *   m = v(chosen) - v(rejected),   losses_i = curve(m_i) + cpoAlpha · nll_i,   nll_i = -Σ log π / meanNllLength
 *   sigmoid  -(1 - ε) log σ(βm) - ε log σ(-βm)         v = Σ log π        CPO: Xu et al. 2024, equation 4
 *   hinge    max(0, 1 - βm)                            v = Σ log π
 *   ipo      (m - 1 / (2β))²                           v = mean log π
 *   simpo    the logistic curve of βm - γ              v = mean log π     SimPO: Meng et al. 2024, equation 6; cpoAlpha 0
 * With α ≠ 0, v becomes (1 - e^(-αv)) / α. AlphaPO: Gupta et al. 2025, equation 6: simpo with α, cpoAlpha 0.
 *
 * Matches TRL's CPOTrainer (and TPOTrainer, where `nllLogps` are those of the gold answer). Departure: αv is at least -80, so that its
 * exponential is finite in f32.
 */
import { add, affine, mul, sub, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { PreferenceLosses } from "./dpo";
import { hingeLoss, logisticLoss, squaredLoss } from "./margin-losses";
import type { ReferenceFreeInputs } from "./orpo";

export interface CpoLossOptions {
  readonly beta: number;
  /** ε of sigmoid and simpo. */
  readonly labelSmoothing: number;
  /** γ: the margin that simpo wants. */
  readonly simpoGamma: number;
  /** α of AlphaPO; 0 leaves v as it is. */
  readonly alpha: number;
  /** Weight of the nll. */
  readonly cpoAlpha: number;
  /** Tokens behind the step's `nllLogps` divided by its pairs: makes the nll a mean over tokens. */
  readonly meanNllLength: number;
}

/** How a loss type measures a completion, and the curve it puts on the margin. */
export interface CpoForm {
  readonly averages: boolean;
  readonly curve: (tape: Tape, margins: Tensor, options: CpoLossOptions) => Tensor;
}

export type CpoLossType = "sigmoid" | "hinge" | "ipo" | "simpo";

/** The one place where a name becomes a function. */
export const cpoForms: Readonly<Record<CpoLossType, CpoForm>> = {
  sigmoid: { averages: false, curve: (tape, m, { beta, labelSmoothing }) => logisticLoss(tape, affine(tape, m, beta), labelSmoothing) },
  hinge: { averages: false, curve: (tape, m, { beta }) => hingeLoss(tape, affine(tape, m, beta)) },
  ipo: { averages: true, curve: (tape, m, { beta }) => squaredLoss(tape, m, 0.5 / beta) },
  simpo: {
    averages: true,
    curve: (tape, m, { beta, simpoGamma, labelSmoothing }) => logisticLoss(tape, affine(tape, m, beta, -simpoGamma), labelSmoothing),
  },
};

/** (P) each */
export interface CpoLosses extends PreferenceLosses {
  readonly nlls: Tensor;
}

const EXPONENT_LIMIT = 80;

export function cpoLoss(tape: Tape, inputs: ReferenceFreeInputs, form: CpoForm, options: CpoLossOptions): CpoLosses {
  const { alpha, beta, cpoAlpha, meanNllLength } = options;
  const measure = (logps: Tensor, inverseLengths: Tensor) => {
    const measured = form.averages ? mul(tape, logps, inverseLengths) : logps;
    if (alpha === 0) return measured;
    const exponent = unary(tape, "clamp", affine(tape, measured, -alpha), -3e38, EXPONENT_LIMIT);
    return affine(tape, unary(tape, "expm1", exponent), -1 / alpha);
  };
  const chosen = measure(inputs.chosenLogps, inputs.chosenInverseLengths);
  const rejected = measure(inputs.rejectedLogps, inputs.rejectedInverseLengths);
  const nlls = affine(tape, inputs.nllLogps ?? inputs.chosenLogps, -1 / meanNllLength);
  return {
    losses: add(tape, form.curve(tape, sub(tape, chosen, rejected), options), affine(tape, nlls, cpoAlpha)),
    nlls,
    chosenRewards: affine(tape, chosen, beta),
    rejectedRewards: affine(tape, rejected, beta),
  };
}
