/**
 * DPO on ranked lists: Plackett-Luce (or other choices) over β times the log-ratios of a prompt's completions.
 *
 *   x_k = log π(y_k) - log π_ref(y_k),   losses_l = -Σ_k log(e^βx_k / Σ_{j≥k} e^βx_j) over list l, best first
 *
 * Rafailov et al. 2023, appendix A.3, equation 20. With two completions it is DPO.
 */
import { affine, sub } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import { type RankedLists, rankingLoss } from "../reward-model/ranking";

export interface ListwiseDpoInputs {
  /** log π(y) of every completion, summed over tokens. Gradients start here. (S) */
  readonly logps: Tensor;
  /** Constants. (S) */
  readonly refLogps: Tensor;
  /** Which completions form a list, and its choices: those of `plackettLuce`, with ties and top-k as it says. */
  readonly lists: RankedLists;
}

export interface ListwiseDpoLosses {
  /** (L) */
  readonly losses: Tensor;
  /** β x, for metrics. (S) */
  readonly rewards: Tensor;
}

export function listwiseDpoLoss(
  tape: Tape,
  { logps, refLogps, lists }: ListwiseDpoInputs,
  options: { readonly beta: number },
): ListwiseDpoLosses {
  const rewards = affine(tape, sub(tape, logps, refLogps), options.beta);
  return { losses: rankingLoss(tape, rewards, lists), rewards };
}
