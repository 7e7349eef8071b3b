/**
 * The reward model's loss on pairs.
 *
 *   losses_i = -log σ(s_chosen - s_rejected - margin_i) + c (s_chosen + s_rejected)²
 *
 * Bradley and Terry 1952; margins from the strength of a preference: Llama 2 (Touvron et al. 2023, equation 2). c > 0 holds the scores
 * round 0, which the first term leaves free: Eisenstein et al. 2023. Matches TRL's RewardTrainer.
 */
import { add, affine, sub, unary } from "../../autograd/elementwise";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import { logisticLoss } from "../preference/margin-losses";

/** Scores of the pairs, (P) each. */
export interface BradleyTerryInputs {
  readonly chosen: Tensor;
  readonly rejected: Tensor;
  /** By how much the chosen score should be larger; constants, default 0. */
  readonly margins?: Tensor | undefined;
}

export interface BradleyTerryOptions {
  /** c; default 0. TRL recommends 0.01. */
  readonly centerRewardsCoefficient?: number | undefined;
}

/** (P) */
export function bradleyTerryLoss(tape: Tape, inputs: BradleyTerryInputs, options: BradleyTerryOptions = {}): Tensor {
  const { chosen, rejected, margins } = inputs;
  const { centerRewardsCoefficient = 0 } = options;
  const gaps = sub(tape, chosen, rejected);
  const losses = logisticLoss(tape, margins ? sub(tape, gaps, margins) : gaps);
  if (centerRewardsCoefficient === 0) return losses;
  return add(tape, losses, affine(tape, unary(tape, "square", add(tape, chosen, rejected)), centerRewardsCoefficient));
}
