/** From scores, partial rewards, the KL to a reference and values to an advantage and a return for every token. Host arrays, f64. */
import { gae, whiten } from "@trimtab/kernels";
import type { KlEstimator } from "../losses/policy/kl";
import { tokenRewards as klAndScores } from "./kl-reward";
import type { StepReward } from "./rewards";
import type { Rollout } from "./rollout";
import type { ValuedRollout } from "./score-slots";

export interface CreditInputs extends ValuedRollout {
  /** What each completion earned in all; NaN = no score. (S) */
  readonly scores: ArrayLike<number>;
  /** The parts of it that steps and tokens earned. (S) */
  readonly stepRewards: readonly (readonly StepReward[] | undefined)[];
  readonly tokenRewards: readonly (ArrayLike<number> | undefined)[];
  /** (N), of the policy that sampled and of the reference; without a reference there is no KL. */
  readonly logps: ArrayLike<number>;
  readonly refLogps: ArrayLike<number> | undefined;
  /** V(s_t), the value before token t. (N) */
  readonly values: ArrayLike<number>;
}

export interface CreditOptions {
  /** Price of one nat. */
  readonly klCoef: number;
  readonly klEstimator: KlEstimator;
  /** Discount per token. */
  readonly gamma: number;
  /** λ of GAE. */
  readonly lam: number;
  /** Divide the rewards by their standard deviation over the rollout; their mean stays. */
  readonly whitenRewards: boolean;
}

export interface Credit {
  /** What GAE was given. (N) */
  readonly rewards: Float64Array;
  /** A_t, not whitened. (N) */
  readonly advantages: Float64Array;
  /** A_t + V_t: what the value should have been. (N) */
  readonly returns: Float64Array;
  /** Σ over tokens of the KL estimates. (S) */
  readonly kl: Float64Array;
}

/**
 * r_t = -klCoef KL_t + what was earned at t, then GAE over the tokens where the value model learns; 0 elsewhere.
 *
 * Steps and tokens are paid where they were earned, at the last token that the policy chose up to there, and what they leave of the score is paid at the
 * end: the return of a completion is its score less its KL, however it is split. Sources: Ziegler et al. 2019 and TRL PPOTrainer (KL, score,
 * whitening), Schulman et al. 2016 (GAE), verl (credit crosses tokens of an environment).
 */
export function assignCredit(inputs: CreditInputs, options: CreditOptions): Credit {
  const { rollout, valueMask, logps, refLogps = logps, values } = inputs;
  const { klCoef, klEstimator, gamma, lam, whitenRewards } = options;
  const parts = payParts(rollout, inputs.stepRewards, inputs.tokenRewards);
  const rest = Float64Array.from(inputs.scores, (score, s) => score - (parts.paid[s] as number));
  const { offsets } = rollout;
  const { rewards: earned, kl } = klAndScores({ scores: rest, logps, refLogps, offsets, mask: valueMask }, { klCoef, klEstimator });
  const sum = earned.map((reward, n) => reward + (parts.rewards[n] as number));
  const rewards = whitenRewards ? whitenCounting(sum, valueMask, false) : sum;
  return { rewards, kl, ...gae({ rewards, values, offsets, mask: valueMask, gamma, lambda: lam }) };
}

/** Whitened over the tokens that count, with or without their mean (Bessel, as TRL and verl). Fewer than two values have no spread to divide by. */
export function whitenCounting(values: Float64Array, mask: Uint8Array, shiftMean: boolean): Float64Array {
  const counting = mask.reduce((sum, m) => sum + m, 0);
  if (counting >= 2) return whiten(values, { mask, shiftMean });
  return shiftMean ? new Float64Array(values.length) : values;
}

/** The same rollout in which no token of the rows that `isLeftOut` names counts. */
export function withoutRows(rollout: Rollout, isLeftOut: (row: number) => boolean): Rollout {
  const mask = rollout.mask.slice();
  rollout.ends.forEach((_, row) => {
    if (isLeftOut(row)) mask.fill(0, rollout.offsets[row], rollout.offsets[row + 1]);
  });
  return { ...rollout, mask };
}

/** What steps and tokens earned, at tokens that the policy chose (N), and their sum per completion (S). */
function payParts(
  { offsets, completionStarts, mask, tokens, ends }: Rollout,
  stepRewards: CreditInputs["stepRewards"],
  tokenRewards: CreditInputs["tokenRewards"],
): { rewards: Float64Array; paid: Float64Array } {
  const rewards = new Float64Array(tokens.length);
  const paid = new Float64Array(ends.length);
  ends.forEach((_, s) => {
    const start = completionStarts[s] as number;
    const pay = (at: number, value: number) => {
      let n = start + at;
      while (n >= start && !mask[n]) n--;
      // Before the policy's first token there is nothing to credit: the end gets it, with what is left of the score.
      if (n < start) return;
      rewards[n] = (rewards[n] as number) + value;
      paid[s] = (paid[s] as number) + value;
    };
    for (const { end, value } of stepRewards[s] ?? []) pay(end, value);
    const own = tokenRewards[s];
    const length = Math.min(own?.length ?? 0, (offsets[s + 1] as number) - start);
    for (let t = 0; t < length; t++) pay(t, own?.[t] as number);
  });
  return { rewards, paid };
}
