/**
 * Odds-ratio preference optimisation: supervised learning on the chosen completion and a preference, without a reference model.
 *
 *   ā(y) = mean log π over the tokens of y,   log odds(y) = ā - log(1 - e^ā)
 *   losses_i = nll_i - β log σ(log odds(chosen) - log odds(rejected)),   nll_i = -Σ log π / meanNllLength
 *
 * Hong et al. 2024, equations 6 and 7. Matches TRL's ORPOTrainer, whose nll counts the prompt's tokens too. Departure: ā is at most -1e-6,
 * because the odds of a certain completion are infinite.
 */
import { affine, mul, sub, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { PreferenceLosses } from "./dpo";

/** Each (P); gradients start at the log-probabilities. */
export interface ReferenceFreeInputs {
  /** log π(y), summed over the completion's tokens. */
  readonly chosenLogps: Tensor;
  readonly rejectedLogps: Tensor;
  /** 1 / tokens of the completion, constants. */
  readonly chosenInverseLengths: Tensor;
  readonly rejectedInverseLengths: Tensor;
  /** log π of what is learned by itself, summed over its tokens. Default `chosenLogps`. */
  readonly nllLogps?: Tensor | undefined;
}

export interface OrpoLossOptions {
  readonly beta: number;
  /** Tokens behind the step's `nllLogps` divided by its pairs: makes the nll a mean over tokens. */
  readonly meanNllLength: number;
}

/** (P) each */
export interface OrpoLosses extends PreferenceLosses {
  readonly nlls: Tensor;
  /** log odds(chosen) - log odds(rejected) */
  readonly logOddsChosen: Tensor;
  /** log σ(logOddsChosen) */
  readonly logOddsRatios: Tensor;
}

/** Nearest that an average log-probability comes to 0. */
const CERTAIN = -1e-6;

export function orpoLoss(tape: Tape, inputs: ReferenceFreeInputs, { beta, meanNllLength }: OrpoLossOptions): OrpoLosses {
  const chosen = mul(tape, inputs.chosenLogps, inputs.chosenInverseLengths);
  const rejected = mul(tape, inputs.rejectedLogps, inputs.rejectedInverseLengths);
  const logOdds = (averages: Tensor) => {
    const uncertain = unary(tape, "clamp", averages, -3e38, CERTAIN);
    return sub(tape, uncertain, unary(tape, "log1mexp", uncertain));
  };
  const logOddsChosen = sub(tape, logOdds(chosen), logOdds(rejected));
  const logOddsRatios = unary(tape, "log_sigmoid", logOddsChosen);
  const nlls = affine(tape, inputs.nllLogps ?? inputs.chosenLogps, -1 / meanNllLength);
  return {
    losses: sub(tape, nlls, affine(tape, logOddsRatios, beta)),
    nlls,
    logOddsChosen,
    logOddsRatios,
    chosenRewards: affine(tape, chosen, beta),
    rejectedRewards: affine(tape, rejected, beta),
  };
}
