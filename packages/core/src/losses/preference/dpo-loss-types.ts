/** TRL's DPO `loss_type` names, and cdpo, as functions. */
import { dpoAot, dpoAotUnpaired } from "./aot";
import type { DpoTerm } from "./dpo-pairs";
import { dpoConservative, dpoDiscopop, dpoExoPair, dpoHinge, dpoRobust, dpoSigmoid } from "./dpo-pairwise";
import { dpoIpo, dpoSft, dpoSigmoidNorm } from "./dpo-per-token";
import { dpoApoDown, dpoApoZero, dpoBcoPair, dpoNcaPair, dpoSppoHard } from "./dpo-pointwise";

export type DpoLossType =
  | "sigmoid"
  | "hinge"
  | "ipo"
  | "exo_pair"
  | "nca_pair"
  | "robust"
  | "cdpo"
  | "bco_pair"
  | "sppo_hard"
  | "aot"
  | "aot_unpaired"
  | "apo_zero"
  | "apo_down"
  | "discopop"
  | "sft"
  | "sigmoid_norm";

/** The one place where a name becomes a function. */
export const dpoLosses: Readonly<Record<DpoLossType, DpoTerm>> = {
  sigmoid: dpoSigmoid,
  hinge: dpoHinge,
  ipo: dpoIpo,
  exo_pair: dpoExoPair,
  nca_pair: dpoNcaPair,
  robust: dpoRobust,
  cdpo: dpoConservative,
  bco_pair: dpoBcoPair,
  sppo_hard: dpoSppoHard,
  aot: dpoAot,
  aot_unpaired: dpoAotUnpaired,
  apo_zero: dpoApoZero,
  apo_down: dpoApoDown,
  discopop: dpoDiscopop,
  sft: dpoSft,
  sigmoid_norm: dpoSigmoidNorm,
};
