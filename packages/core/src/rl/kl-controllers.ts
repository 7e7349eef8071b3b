/**
 * Controllers that keep a KL near a target by moving its coefficient. Two different objects: {@link adaptReferenceKl} holds the distance to the
 * reference model, which is paid in the reward; {@link adaptPenalty} the distance to the policy before the update, which is paid in the loss.
 */

export interface ReferenceKlControl {
  /** Wanted KL to the reference, in nats per completion. */
  readonly target: number;
  /** Completions over which the coefficient may change by a factor of about 1.2. lm-human-preferences: 10000. */
  readonly horizon: number;
}

/**
 * The next coefficient of the KL reward: coefficient · (1 + e · episodes / horizon), e = clip(kl / target - 1, -0.2, 0.2).
 *
 * `kl` is the mean over completions of the sum over tokens of k1; `episodes` the number of completions it was measured on.
 * Source: lm-human-preferences, AdaptiveKLController (Ziegler et al. 2019, section 2.2); OpenRLHF's is the same. verl feeds the per-token mean.
 */
export function adaptReferenceKl(coefficient: number, kl: number, episodes: number, { target, horizon }: ReferenceKlControl): number {
  const error = Math.min(Math.max(kl / target - 1, -0.2), 0.2);
  return coefficient * (1 + (error * episodes) / horizon);
}

/**
 * The next β of PPO's KL penalty, from the mean KL(π_old ‖ π) of the update: halved below target / 1.5, doubled above 1.5 · target.
 * Source: Schulman et al. 2017, section 4.
 */
export function adaptPenalty(beta: number, kl: number, target: number): number {
  if (kl < target / 1.5) return beta / 2;
  return kl > target * 1.5 ? beta * 2 : beta;
}
