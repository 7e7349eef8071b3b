/** Shifting and scaling a reward model's scores, so that those of known completions have a chosen mean and spread. */
import { ArgumentError } from "@trimtab/kernels";

/** reward = gain · score + bias */
export interface RewardNormalization {
  readonly gain: number;
  readonly bias: number;
}

export interface NormalizationTarget {
  /** Default 0. */
  readonly mean?: number | undefined;
  /** Default 1; "keep" only shifts, as InstructGPT does with its labelers' demonstrations. */
  readonly std?: number | "keep" | undefined;
}

/**
 * gain = std / σ, bias = mean - gain μ, with μ and σ (population) of `scores`: those of a reference policy's samples in
 * lm-human-preferences (Ziegler et al. 2019, section 2.1). Throws ArgumentError where they have no spread to scale.
 */
export function fitNormalization(scores: ArrayLike<number>, { mean = 0, std = 1 }: NormalizationTarget = {}): RewardNormalization {
  const all = Array.from(scores);
  const average = all.reduce((sum, score) => sum + score, 0) / all.length;
  const deviation = Math.sqrt(all.reduce((sum, score) => sum + (score - average) * (score - average), 0) / all.length);
  if (!(std === "keep" ? all.length > 0 : deviation > 0)) {
    throw new ArgumentError(
      `fitNormalization: the scores must have a spread, got ${all.length} with a standard deviation of ${deviation}. Score different completions, or keep the scale (std "keep").`,
    );
  }
  const gain = std === "keep" ? 1 : std / deviation;
  return { gain, bias: mean - gain * average };
}
