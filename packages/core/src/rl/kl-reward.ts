/** RLHF's reward per token: the KL to the reference as a price of every token, and the score of the completion at its end. Host arrays, f64. */
import { ArgumentError, hostMath } from "@trimtab/kernels";
import type { KlEstimator } from "../losses/policy/kl";

/** An estimate of KL_t from a = log π(o_t) - log π_ref(o_t), o_t drawn from π. See losses/policy/kl.ts. */
export const klEstimators: Readonly<Record<KlEstimator, (a: number) => number>> = {
  k1: (a) => a,
  k2: (a) => (a * a) / 2,
  k3: (a) => hostMath.expm1(-a) + a,
  abs: Math.abs,
};

export interface TokenRewardInputs {
  /** Score of each completion; NaN = none. (S) */
  readonly scores: ArrayLike<number>;
  /** Of the policy that sampled, and of the reference. (N) */
  readonly logps: ArrayLike<number>;
  readonly refLogps: ArrayLike<number>;
  /** Row s is [offsets[s], offsets[s + 1]). (S + 1) */
  readonly offsets: ArrayLike<number>;
  /** 1 = a token that the policy chose. (N) */
  readonly mask: ArrayLike<number>;
}

export interface TokenRewardOptions {
  /** Price of one nat. */
  readonly klCoef: number;
  /** Default "k1". */
  readonly klEstimator?: KlEstimator | undefined;
  /**
   * Where the score goes. "last": on the last token that the policy chose. "trl": on the position after it, whose value is that of the state
   * after the end, or on the last one where the row has no such position (TRL's PPOTrainer). Default "last".
   */
  readonly scorePlacement?: "last" | "trl" | undefined;
}

/**
 * r_t = -klCoef · KL_t at tokens that the policy chose, plus the score at the end of the row; 0 elsewhere (N). `kl` (S) is each row's Σ KL_t.
 * A row without any such token earns nothing, and one whose score is NaN only its KL. Source: Ziegler et al. 2019, equation 2; Stiennon et al. 2020; TRL's PPOTrainer.
 */
export function tokenRewards(inputs: TokenRewardInputs, options: TokenRewardOptions): { rewards: Float64Array; kl: Float64Array } {
  const { scores, logps, refLogps, offsets, mask } = inputs;
  const { klCoef, klEstimator = "k1", scorePlacement = "last" } = options;
  const estimate = klEstimators[klEstimator];
  const rewards = new Float64Array(logps.length);
  const kl = new Float64Array(scores.length);
  if (offsets.length !== scores.length + 1 || offsets[scores.length] !== logps.length) {
    throw new ArgumentError(
      `tokenRewards: offsets must be those of ${scores.length} rows with ${logps.length} tokens, got ${offsets.length} ending at ${offsets[offsets.length - 1]}. Pass arrays of one rollout.`,
    );
  }
  for (let s = 0; s < scores.length; s++) {
    const end = offsets[s + 1] as number;
    let last: number | undefined;
    for (let n = offsets[s] as number; n < end; n++) {
      if (mask[n] === 0) continue;
      const value = estimate((logps[n] as number) - (refLogps[n] as number));
      rewards[n] = -klCoef * value;
      kl[s] = (kl[s] as number) + value;
      last = n;
    }
    const score = scores[s] as number;
    if (last === undefined || Number.isNaN(score)) continue;
    const at = scorePlacement === "trl" && last + 1 < end ? last + 1 : last;
    rewards[at] = (rewards[at] as number) + score;
  }
  return { rewards, kl };
}

export interface ScoreOptions {
  /** Scores are clipped to this range. Default: none. */
  readonly clipRange?: readonly [low: number, high: number] | undefined;
  /** Taken from the score of a completion that did not end by itself. Default 0. */
  readonly missingEosPenalty?: number | undefined;
}

/**
 * Scores (S) as the trainer uses them: clipped, then less the penalty, which is not clipped. NaN stays NaN. `hasEnded` (S) says which completions
 * stopped by themselves. TRL's PPOTrainer subtracts; summarize-from-feedback's re-implementation puts -1 in the score's place.
 */
export function shapeScores(scores: ArrayLike<number>, hasEnded: readonly boolean[], options: ScoreOptions): Float64Array {
  const [low, high] = options.clipRange ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const penalty = options.missingEosPenalty ?? 0;
  return Float64Array.from(scores, (score, s) => Math.min(Math.max(score, low), high) - (hasEnded[s] ? 0 : penalty));
}
