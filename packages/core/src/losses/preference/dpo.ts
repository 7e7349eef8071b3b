/**
 * Direct preference optimisation: one or several objectives on a pair's log-ratios, weighted together.
 *
 *   x(y) = log π(y) - log π_ref(y),   score(y) = f-divergence(x(y)),   D = score(chosen) - score(rejected)
 *   losses_i = w_i Σ_k weight_k term_k(pair i),   loss = Σ_i losses_i / pairs of the step
 *
 * DPO: Rafailov et al. 2023, equation 7, where the only term is -log σ(β D). Matches TRL's DPOTrainer._compute_loss; each term says
 * where it is from, and departures of its own.
 */
import { add, affine, mul, sub } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { DpoPairs, DpoTerm, DpoTermOptions, Matched } from "./dpo-pairs";
import type { FDivergence } from "./f-divergence";

/** Each (P); all but the policy's own are constants. */
export interface DpoInputs {
  /** log π(y), summed over tokens (LD-DPO: weighted). Gradients start here. */
  readonly chosenLogps: Tensor;
  readonly rejectedLogps: Tensor;
  /** log π_ref(y), summed the same way. */
  readonly refChosenLogps: Tensor;
  readonly refRejectedLogps: Tensor;
  /** 1 / tokens of the completion: `inverseLengths`. */
  readonly chosenInverseLengths: Tensor;
  readonly rejectedInverseLengths: Tensor;
  /** Unweighted sums for `sft`. Default `chosenLogps`: they differ only with LD-DPO. */
  readonly chosenTokenSums?: Tensor | undefined;
  /** WPO's factor of each pair: `wpoWeights`. Default 1. */
  readonly pairWeights?: Tensor | undefined;
  /** `matchByRank` of the whole step; for aot and aot_unpaired. */
  readonly matched?: Matched<Tensor> | undefined;
}

export interface DpoLossOptions extends DpoTermOptions {
  /** The objectives of `dpoLosses` and their weights. */
  readonly terms: readonly { readonly loss: DpoTerm; readonly weight: number }[];
  /** One of `fDivergences`. */
  readonly divergence: FDivergence;
  /** Coefficient of alpha_divergence. */
  readonly alpha: number;
}

/** Each (P). The rewards are for metrics: `pairMetrics` makes margins and accuracies of them. */
export interface PreferenceLosses {
  readonly losses: Tensor;
  /** β times what the objective measures of the chosen completion; for DPO β x. */
  readonly chosenRewards: Tensor;
  readonly rejectedRewards: Tensor;
}

export function dpoLoss(tape: Tape, inputs: DpoInputs, options: DpoLossOptions): PreferenceLosses {
  const { chosenLogps, rejectedLogps, pairWeights } = inputs;
  const { terms, divergence, alpha, beta } = options;
  const chosenLogratios = sub(tape, chosenLogps, inputs.refChosenLogps);
  const rejectedLogratios = sub(tape, rejectedLogps, inputs.refRejectedLogps);
  const chosenScores = divergence(tape, chosenLogratios, alpha);
  const rejectedScores = divergence(tape, rejectedLogratios, alpha);
  const pairs: DpoPairs = {
    chosenLogps,
    rejectedLogps,
    chosenLogratios,
    rejectedLogratios,
    chosenScores,
    rejectedScores,
    scoreGaps: sub(tape, chosenScores, rejectedScores),
    chosenTokenSums: inputs.chosenTokenSums ?? chosenLogps,
    chosenInverseLengths: inputs.chosenInverseLengths,
    rejectedInverseLengths: inputs.rejectedInverseLengths,
    matched: inputs.matched,
  };
  const losses = terms
    .map(({ loss, weight }) => affine(tape, loss(tape, pairs, options), weight))
    .reduce((sum, term) => add(tape, sum, term));
  return {
    losses: pairWeights ? mul(tape, losses, pairWeights) : losses,
    chosenRewards: affine(tape, chosenLogratios, beta),
    rejectedRewards: affine(tape, rejectedLogratios, beta),
  };
}
