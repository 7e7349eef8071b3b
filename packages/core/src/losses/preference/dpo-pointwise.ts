/** The DPO losses that judge each completion of a pair by itself; c, r are the scores of chosen and rejected, b = β. */
import { add, affine, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { DpoTerm } from "./dpo-pairs";
import { logisticLoss, squaredLoss } from "./margin-losses";

/** σ(scale · x) */
const sigmoidOf = (tape: Tape, x: Tensor, scale: number): Tensor => unary(tape, "sigmoid", affine(tape, x, scale));

/** -log σ(bc) - ½ log σ(-bc) - ½ log σ(-br). NCA: Chen et al. 2024, equation 12 with two responses. */
export const dpoNcaPair: DpoTerm = (tape, { chosenScores, rejectedScores }, { beta }) => {
  // With log σ(-x) = log σ(x) - x the first two terms are -3/2 log σ(bc) + bc / 2.
  const chosen = affine(tape, logisticLoss(tape, affine(tape, chosenScores, beta), 1 / 3), 1.5);
  const rejected = affine(tape, logisticLoss(tape, affine(tape, rejectedScores, -beta)), 0.5);
  return add(tape, chosen, rejected);
};

/** -log σ(bc) - log σ(-br). BCO: Jung et al. 2024, without its running baseline δ. */
export const dpoBcoPair: DpoTerm = (tape, { chosenScores, rejectedScores }, { beta }) =>
  add(tape, logisticLoss(tape, affine(tape, chosenScores, beta)), logisticLoss(tape, affine(tape, rejectedScores, -beta)));

/** (c - 1/(2b))² + (r + 1/(2b))². SPPO: Wu et al. 2024, equation 4.7 with win rates of 1 and 0. */
export const dpoSppoHard: DpoTerm = (tape, { chosenScores, rejectedScores }, { beta }) =>
  add(tape, squaredLoss(tape, chosenScores, 0.5 / beta), squaredLoss(tape, rejectedScores, -0.5 / beta));

/** 1 - σ(bc) + σ(br) on raw log-ratios: chosen ones are better than what the model writes. APO-zero: D'Oosterlinck et al. 2024, equation 7. */
export const dpoApoZero: DpoTerm = (tape, { chosenLogratios, rejectedLogratios }, { beta }) =>
  add(tape, sigmoidOf(tape, chosenLogratios, -beta), sigmoidOf(tape, rejectedLogratios, beta));

/** σ(bc) + 1 - σ(bD), c a raw log-ratio: even chosen ones are worse than what the model writes. APO-down: the same paper, equation 8. */
export const dpoApoDown: DpoTerm = (tape, { chosenLogratios, scoreGaps }, { beta }) =>
  add(tape, sigmoidOf(tape, chosenLogratios, beta), sigmoidOf(tape, scoreGaps, -beta));
