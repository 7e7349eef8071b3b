/**
 * What weakens the surrogate of a token or completion and leaves the KL term alone: masks and importance weights.
 *
 * Every surrogate is homogeneous in the advantage (c A gives c L for c >= 0), so each of these is a factor of the advantages and no loss
 * knows about them. They are constants of the optimiser step; denominators do not change. Order and meaning as in TRL's GRPOTrainer.
 */
import { hostMath } from "@trimtab/kernels";
import { affine, binary, mul, sub } from "../../autograd/elementwise";
import { segmentBroadcast, segmentSum } from "../../autograd/segment";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import { type PolicyInputs, zerosLike } from "./inputs";

/**
 * DeepSeek-V3.2's off-policy mask: advantages (M), 0 in completions with A < 0 that the policy has moved away from, i.e. whose mean of
 * log π_behaviour - log π exceeds `threshold`. `behaviourLogps` (M) are the sampler's, or π_old's.
 */
export function offPolicyMask(
  tape: Tape,
  {
    logps,
    behaviourLogps,
    advantages,
    segments,
  }: Pick<PolicyInputs, "logps" | "advantages" | "segments"> & { readonly behaviourLogps: Tensor },
  threshold: number,
): Tensor {
  const gaps = segmentSum(tape, sub(tape, { ...behaviourLogps }, { ...logps }), segments.offsets);
  const excess = affine(tape, mul(tape, gaps, segments.inverseLengths), 1, -threshold); // (S)
  const isFar = binary(tape, "greater", excess, zerosLike(tape, excess));
  const zeros = zerosLike(tape, advantages);
  const isNegative = binary(tape, "greater", zeros, advantages);
  const isDropped = mul(tape, segmentBroadcast(tape, isFar, segments.offsets, advantages.shape[0] as number), isNegative);
  return { ...binary(tape, "keep", advantages, affine(tape, isDropped, -1, 1)) };
}

/**
 * The entropy from which on a token is among the `topQuantile` most uncertain ones of the step: the (1 - topQuantile)-quantile of the
 * entropies of all its loss tokens, linearly interpolated as torch.quantile does. The 80/20 rule (Wang et al. 2025) is 0.2. -Infinity for no tokens.
 */
export function entropyThreshold(entropies: ArrayLike<number>, topQuantile: number): number {
  const sorted = Float64Array.from(entropies).sort();
  if (sorted.length === 0) return Number.NEGATIVE_INFINITY;
  const at = (1 - topQuantile) * (sorted.length - 1);
  const below = Math.floor(at);
  const [low, high] = [sorted[below] as number, sorted[Math.min(below + 1, sorted.length - 1)] as number];
  return low + (at - below) * (high - low);
}

/** One weight per token or per completion; outside [clipMin, clipMax] it is clamped, or 0. TRL's vllm_importance_sampling_mode. */
export type SamplerCorrectionMode = "token_truncate" | "token_mask" | "sequence_truncate" | "sequence_mask";

export interface SamplerCorrectionOptions {
  readonly mode: SamplerCorrectionMode;
  /** Largest weight; TRL: 3. */
  readonly clipMax: number;
  /** Smallest weight; TRL: none, i.e. 0. */
  readonly clipMin: number;
}

/** Log-probabilities of M tokens, and the completions' offsets (S + 1). */
export interface SamplerCorrectionInputs {
  /** Of the training pass. (M) */
  readonly oldLogps: ArrayLike<number>;
  /** As the sampler reported them. (M) */
  readonly samplerLogps: ArrayLike<number>;
  readonly offsets: ArrayLike<number>;
}

/**
 * Importance weights (M) of the training pass's policy to the sampler's: exp(D_t), or exp(Σ D) for every token of a completion, with
 * D_t = old_t - sampler_t. Sums grow with length, so that sequence modes act on long completions first.
 * Source: TRL GRPOTrainer (truncated importance sampling, Yao et al. 2025; masked, IcePop).
 */
export function samplerCorrection(inputs: SamplerCorrectionInputs, options: SamplerCorrectionOptions): Float64Array {
  const { oldLogps, samplerLogps, offsets } = inputs;
  const weights = Float64Array.from(oldLogps, (old, t) => old - (samplerLogps[t] as number));
  const isTruncating = options.mode.endsWith("truncate");
  const bounded = (logWeight: number) => {
    const weight = hostMath.exp(logWeight);
    if (isTruncating) return Math.min(Math.max(weight, options.clipMin), options.clipMax);
    return weight >= options.clipMin && weight <= options.clipMax ? weight : 0;
  };
  if (options.mode.startsWith("token")) return weights.map(bounded);
  for (let s = 0; s + 1 < offsets.length; s++) {
    const own = weights.subarray(offsets[s] as number, offsets[s + 1] as number);
    own.fill(bounded(own.reduce((sum, d) => sum + d, 0)));
  }
  return weights;
}

/**
 * The same weights as factors per token (M) whose product over a completion is its weight: of token modes the weights themselves, of
 * sequence modes their n-th root. What {@link vespoSurrogate} takes.
 */
export function samplerFactors(inputs: SamplerCorrectionInputs, options: SamplerCorrectionOptions): Float64Array {
  const weights = samplerCorrection(inputs, options);
  if (options.mode.startsWith("token")) return weights;
  for (let s = 0; s + 1 < inputs.offsets.length; s++) {
    const own = weights.subarray(inputs.offsets[s] as number, inputs.offsets[s + 1] as number);
    if (own.length > 0) own.fill(hostMath.pow(own[0] as number, 1 / own.length));
  }
  return weights;
}
