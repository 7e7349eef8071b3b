/** The reward model's losses on completions judged by themselves: ratings on a scale, right or wrong, and strengths of preference. */
import { add, affine, mul, sub, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import { logisticLoss } from "../preference/margin-losses";

/** (s - rating)², scores (S) and ratings (S) -> (S). lm-human-preferences' scalar_rating (Ziegler et al. 2019). */
export function ratingLoss(tape: Tape, scores: Tensor, ratings: Tensor): Tensor {
  return unary(tape, "square", sub(tape, scores, ratings));
}

/** (s_b - s_a - difference)², (P) each -> (P). lm-human-preferences' scalar_compare. */
export function ratingDifferenceLoss(tape: Tape, a: Tensor, b: Tensor, differences: Tensor): Tensor {
  return ratingLoss(tape, sub(tape, b, a), differences);
}

/**
 * Binary cross-entropy -y log σ(s) - (1 - y) log σ(-s), scores and labels y in [0, 1], (S) each -> (S). Written -log σ(s) + (1 - y) s.
 * Outcome labels of completions, or, with scores at the last token of every step, a process reward model (Lightman et al. 2023). TRL's
 * PRMTrainer has two logits and a softmax, of which s is the difference.
 */
export function binaryLoss(tape: Tape, scores: Tensor, labels: Tensor): Tensor {
  return add(tape, logisticLoss(tape, scores), mul(tape, scores, affine(tape, labels, -1, 1)));
}
