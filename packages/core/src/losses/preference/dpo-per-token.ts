/** The DPO losses on averages over tokens: c and r are scores, n_c and n_r the tokens of chosen and rejected completion. */
import { affine, mul, sub } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { DpoPairs, DpoTerm } from "./dpo-pairs";
import { logisticLoss, squaredLoss } from "./margin-losses";

/** c / n_c - r / n_r. (P) */
function averageGaps(tape: Tape, pairs: DpoPairs): Tensor {
  const chosen = mul(tape, pairs.chosenScores, pairs.chosenInverseLengths);
  return sub(tape, chosen, mul(tape, pairs.rejectedScores, pairs.rejectedInverseLengths));
}

/**
 * (c / n_c - r / n_r - 1 / (2β))². IPO: Azar et al. 2023, equation 17; the averages are TRL's choice, made with the authors.
 * OpenRLHF uses sums.
 */
export const dpoIpo: DpoTerm = (tape, pairs, { beta }) => squaredLoss(tape, averageGaps(tape, pairs), 0.5 / beta);

/** -log σ(β (c / n_c - r / n_r)). Length-normalised DPO: Lambert et al. 2024 (Tülu 3), equation 6. */
export const dpoSigmoidNorm: DpoTerm = (tape, pairs, { beta }) => logisticLoss(tape, affine(tape, averageGaps(tape, pairs), beta));

/** Mean over tokens of -log π on the chosen completions, as a value for every pair: -Σ log π(chosen) / meanChosenLength. */
export const dpoSft: DpoTerm = (tape, { chosenTokenSums }, { meanChosenLength }) => affine(tape, chosenTokenSums, -1 / meanChosenLength);
