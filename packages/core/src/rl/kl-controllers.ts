/**
 * How the strengths of penalties follow what is measured. Each rule is a pure function from a state that is JSON to the next one.
 *
 * Two of them weigh a KL and are different things: {@link nextKlCoef} the distance to the REFERENCE (RLHF), {@link nextPenaltyBeta} the distance
 * to the policy BEFORE the update (PPO-penalty).
 */

/** Fixed, or steered towards a target. */
export type KlControl =
  | { readonly kind: "fixed" }
  | {
      readonly kind: "adaptive";
      /** KL that is wanted: batch mean of the sum over tokens, in nats. */
      readonly target: number;
      /** Episodes over which the coefficient can change by its own size at most a fifth. lm-human-preferences: 10000. */
      readonly horizon: number;
    };

/**
 * The coefficient of the KL to the reference after a batch: klCoef · (1 + clip(KL / target - 1, -0.2, 0.2) · episodes / horizon).
 * Source: Ziegler et al. 2019, equation 3; lm-human-preferences `AdaptiveKLController`. `kl` is the mean over the batch of each
 * completion's sum (verl feeds the mean per token instead).
 */
export function nextKlCoef(
  klCoef: number,
  { kl, episodes }: { readonly kl: number; readonly episodes: number },
  control: KlControl,
): number {
  if (control.kind === "fixed") return klCoef;
  const error = Math.min(Math.max(kl / control.target - 1, -0.2), 0.2);
  return klCoef * (1 + (error * episodes) / control.horizon);
}

/**
 * β of PPO-penalty after an update that moved the policy by `kl` (mean per token, in nats): halved below target / 1.5, doubled above
 * target · 1.5. Source: Schulman et al. 2017, section 4.
 */
export function nextPenaltyBeta(beta: number, kl: number, target: number): number {
  if (kl < target / 1.5) return beta / 2;
  return kl > target * 1.5 ? beta * 2 : beta;
}

/** The state of the adaptive entropy bonus. */
export interface EntropyControl {
  /** The coefficient. */
  readonly coef: number;
  /** Mean entropy of the last step's tokens; null before the first. */
  readonly entropy: number | null;
}

export interface EntropyControlOptions {
  /** Entropy per token, in nats, below which there is a bonus. TRL: 0.2, which is near collapse; Skywork-OR1: 5 of its own scale. */
  readonly target: number;
  /** Change of the coefficient per optimiser step. TRL: 0.005. */
  readonly delta: number;
  readonly min: number;
  readonly max: number;
}

/** The coefficient to use in the next step: there is a bonus only while the last entropy was at most the target. */
export function entropyCoefOf({ coef, entropy }: EntropyControl, { target }: EntropyControlOptions): number {
  return entropy === null || entropy <= target ? coef : 0;
}

/**
 * After a step of mean entropy `entropy`: one `delta` up where it is at most the target, else one down, within [min, max].
 * Source: Skywork-OR1 (He et al. 2025); TRL's use_adaptive_entropy.
 */
export function nextEntropyControl(
  { coef }: EntropyControl,
  entropy: number,
  { target, delta, min, max }: EntropyControlOptions,
): EntropyControl {
  return { coef: entropy <= target ? Math.min(coef + delta, max) : Math.max(coef - delta, min), entropy };
}
