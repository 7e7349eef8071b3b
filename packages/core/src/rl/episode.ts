/** One completion as a trajectory of a token-level decision process: every counting token is an action with a reward of its own. */
import { countingTokens, rolloutRow } from "./rollout";
import type { ScoredRollout } from "./scored-rollout";
import { assignCredit } from "./token-credit";

export interface Episode {
  /** Prompt and completion. (N) */
  readonly tokens: Uint32Array;
  /** 1 = an action. (N) */
  readonly mask: Uint8Array;
  /** What each action earned. (M), in the order of the mask's ones. */
  readonly rewards: Float32Array;
}

/** An episode whose reward comes with its last action. */
export function terminalEpisode(tokens: Uint32Array, mask: Uint8Array, reward: number): Episode {
  // The first token of a sequence is predicted by nothing, and so is no action.
  const actions = mask.subarray(1).reduce((sum, m) => sum + m, 0);
  const rewards = new Float32Array(actions);
  if (actions > 0) rewards[actions - 1] = reward;
  return { tokens, mask, rewards };
}

/** The completions of a rollout that have a reward and an action; what steps and tokens earned is paid where it was earned. */
export function episodesOf(scored: ScoredRollout): Episode[] {
  const { rollout, rewards: scores, stepRewards, tokenRewards } = scored;
  const none = new Float32Array(rollout.tokens.length);
  const { rewards } = assignCredit(
    { rollout, valueMask: rollout.mask, scores, stepRewards, tokenRewards, logps: none, refLogps: undefined, values: none },
    { klCoef: 0, klEstimator: "k1", gamma: 1, lam: 1, whitenRewards: false },
  );
  return rollout.ends.flatMap((_, row) => {
    if (Number.isNaN(scores[row]) || countingTokens(rollout, row) === 0) return [];
    const { tokens, mask } = rolloutRow(rollout, row);
    const start = rollout.offsets[row] as number;
    const earned = Array.from(mask.keys()).filter((i) => mask[i]);
    return [{ tokens: tokens.slice(), mask: mask.slice(), rewards: Float32Array.from(earned, (i) => rewards[start + i] as number) }];
  });
}

/** As JSON, for a training state: f32 values survive exactly. */
export function episodeToJSON({ tokens, mask, rewards }: Episode): Record<string, unknown> {
  return { tokens: [...tokens], mask: [...mask], rewards: [...rewards] };
}

/** The inverse of {@link episodeToJSON}. */
export function episodeFromJSON(json: Readonly<Record<string, unknown>>): Episode {
  const numbers = (field: string) => json[field] as number[];
  return {
    tokens: Uint32Array.from(numbers("tokens")),
    mask: Uint8Array.from(numbers("mask")),
    rewards: Float32Array.from(numbers("rewards")),
  };
}
