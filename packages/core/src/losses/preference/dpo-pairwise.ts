/** The DPO losses that look only at the gap D between a pair's scores; x = β D. */
import { hostMath } from "@trimtab/kernels";
import { affine, mul, sub, unary } from "../../autograd/elementwise";
import type { DpoTerm } from "./dpo-pairs";
import { hingeLoss, logisticLoss } from "./margin-losses";

/** -log σ(x). DPO: Rafailov et al. 2023, equation 7. */
export const dpoSigmoid: DpoTerm = (tape, { scoreGaps }, { beta }) => logisticLoss(tape, affine(tape, scoreGaps, beta));

/** max(0, 1 - x). SLiC-HF: Zhao et al. 2023; RSO: Liu et al. 2023. */
export const dpoHinge: DpoTerm = (tape, { scoreGaps }, { beta }) => hingeLoss(tape, affine(tape, scoreGaps, beta));

/** -(1 - ε) log σ(x) - ε log σ(-x). Conservative DPO: Mitchell 2023. Not in TRL's DPOTrainer; matches OpenRLHF's DPOLoss. */
export const dpoConservative: DpoTerm = (tape, { scoreGaps }, { beta, labelSmoothing }) =>
  logisticLoss(tape, affine(tape, scoreGaps, beta), labelSmoothing);

/**
 * (-(1 - ε) log σ(x) + ε log σ(-x)) / (1 - 2ε): unbiased where a share ε < 1/2 of the labels is flipped, as it is the logistic
 * loss with the smoothing -ε / (1 - 2ε). Robust DPO: Chowdhury et al. 2024, equation 12.
 */
export const dpoRobust: DpoTerm = (tape, { scoreGaps }, { beta, labelSmoothing: e }) =>
  logisticLoss(tape, affine(tape, scoreGaps, beta), -e / (1 - 2 * e));

/**
 * KL of (σ(x), σ(-x)) from (1 - ε, ε), ε > 0. EXO: Ji et al. 2024, equation 16. Written with log σ(-x) = log σ(x) - x:
 * log σ(x) - σ(-x) (x + log ε - log(1 - ε)) - log(1 - ε).
 */
export const dpoExoPair: DpoTerm = (tape, { scoreGaps }, { beta, labelSmoothing }) => {
  const [logWrong, logRight] = [hostMath.log(labelSmoothing), hostMath.log1p(-labelSmoothing)];
  const x = affine(tape, scoreGaps, beta);
  const rejectedShare = unary(tape, "sigmoid", affine(tape, x, -1));
  const crossed = mul(tape, rejectedShare, affine(tape, x, 1, logWrong - logRight));
  return affine(tape, sub(tape, unary(tape, "log_sigmoid", x), crossed), 1, -logRight);
};

/** Below, the factor of exp(-x) is 0 in f32, and exp(-x) must not be infinite. */
const DISCOPOP_FLOOR = -80;

/** (1 - w) (-log σ(x)) + w e⁻ˣ, w = σ(x / τ). DiscoPOP: Lu et al. 2024, equation 5. Departure: x is at least -80 in the exponential. */
export const dpoDiscopop: DpoTerm = (tape, { scoreGaps }, { beta, discopopTau }) => {
  const x = affine(tape, scoreGaps, beta);
  const w = unary(tape, "sigmoid", affine(tape, x, 1 / discopopTau));
  const logistic = logisticLoss(tape, x);
  const exponential = unary(tape, "exp", affine(tape, unary(tape, "clamp", x, DISCOPOP_FLOOR, 3e38), -1));
  return sub(tape, logistic, mul(tape, w, sub(tape, logistic, exponential)));
};
