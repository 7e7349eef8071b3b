/** What makes a kind of GRPO: its options under TRL's names. How they are checked and resolved stands in grpo-settings.ts. */
import type { RewardScale } from "@trimtab/kernels";
import type { KlEstimator } from "../losses/policy/kl";
import type { SamplerCorrectionMode } from "../losses/policy/modifiers";
import type { ImportanceSamplingLevel } from "../losses/policy/ratios";
import type { LossType } from "../losses/token-weights";
import type { ReferenceOptions } from "./reference-model";

export interface GrpoRecipe extends ReferenceOptions {
  /** How token losses are made and averaged: losses/policy and losses/token-weights.ts. Default "dapo". */
  readonly lossType?: LossType | undefined;
  /** One ratio per token, per completion (GSPO), or per completion with token gradients (GSPO-token). Default "token". */
  readonly importanceSamplingLevel?: ImportanceSamplingLevel | undefined;
  /** Clip range of the ratio, below and, unless `epsilonHigh` is given, above. Default 0.2; gmpo, whose range is that of log r: 0.4. */
  readonly epsilon?: number | undefined;
  /** cispo: the cap of the ratio itself, default 5 (TRL falls back to `epsilon`, which would cap every ratio far below 1). */
  readonly epsilonHigh?: number | undefined;
  /** Two-sided clip: cap of the unclipped ratio. Default: none. */
  readonly delta?: number | undefined;
  /** Dual clip: c > 1 bounds the loss of a token with A < 0 by c |A|. verl: 3. Default: none. Not in TRL. */
  readonly dualClip?: number | undefined;
  /** Temperatures of the gate of sapo. Defaults 1.0 and 1.05. */
  readonly sapoTemperaturePos?: number | undefined;
  readonly sapoTemperatureNeg?: number | undefined;
  /** Shape of vespo's weight for A >= 0 and A < 0. Defaults 2, 3, 3, 2. */
  readonly vespoKPos?: number | undefined;
  readonly vespoLambdaPos?: number | undefined;
  readonly vespoKNeg?: number | undefined;
  readonly vespoLambdaNeg?: number | undefined;

  /** Coefficient of the KL to the reference in the loss. Default 0. */
  readonly beta?: number | undefined;
  /** Default "k3". Not in TRL, which has no other. */
  readonly klEstimator?: KlEstimator | undefined;
  /** Multiply the KL term by the ratio, so that its gradient is that of KL(π ‖ π_ref). Default true, as TRL from 1.10.0. */
  readonly useBiasCorrectionKl?: boolean | undefined;
  /** Report `kl` even where beta is 0. Default false. */
  readonly logKl?: boolean | undefined;

  /** Which standard deviation divides the advantages. Default "group". */
  readonly scaleRewards?: RewardScale | undefined;
  /** Normalise the weighted sum of the rewards, or each function's rewards before they are summed (GDPO). Default "sum_then_normalize". */
  readonly multiObjectiveAggregation?: "sum_then_normalize" | "normalize_then_sum" | undefined;
  /**
   * "process": rewards that come with `steps` credit each step, normalised over all steps of the group (DeepSeekMath); a completion without
   * steps counts as one step at its end. Default "outcome". Not in TRL.
   */
  readonly supervision?: "outcome" | "process" | undefined;
  /** Replace groups without spread by those of further prompts (DAPO). Default false. Not in TRL. */
  readonly dynamicSampling?: boolean | undefined;
  /** Most further draws per round; what is then still missing stays without spread. Default 10. */
  readonly maxResamplingAttempts?: number | undefined;

  /** Only this share of the step's tokens, the most uncertain, learn from the surrogate; the KL term is not touched. Default 1. */
  readonly topEntropyQuantile?: number | undefined;
  /** Coefficient of the entropy bonus; where it adapts, the first one. Default 0. */
  readonly entropyCoef?: number | undefined;
  /** Let the coefficient follow the entropy (Skywork-OR1). Default false. */
  readonly useAdaptiveEntropy?: boolean | undefined;
  /** Entropy per token, in nats, at or below which there is a bonus. Default 0.2. */
  readonly entropyTarget?: number | undefined;
  /** Change of the coefficient per step, and its bounds. Defaults 0.005, 0, 1. */
  readonly entropyCoefDelta?: number | undefined;
  readonly entropyCoefMin?: number | undefined;
  readonly entropyCoefMax?: number | undefined;

  /** Drop completions with A < 0 whose mean log-ratio of sampler to policy is above this (DeepSeek-V3.2). Default: none. */
  readonly offPolicyMaskThreshold?: number | undefined;
  /** Weigh tokens by π_old / π_sampler. Default false: sampler and trainer are one model here. TRL: vllm_importance_sampling_correction. */
  readonly samplingImportanceCorrection?: boolean | undefined;
  /** Default "sequence_mask". */
  readonly samplingImportanceMode?: SamplerCorrectionMode | undefined;
  /** Bounds of the weights. Defaults 3 and 0. */
  readonly samplingImportanceClipMax?: number | undefined;
  readonly samplingImportanceClipMin?: number | undefined;
}
