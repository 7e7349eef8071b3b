/** REINFORCE and its relatives: from rewards per token to advantages per token. */
import {
  discountedReturns,
  greedyBaseline,
  groupAdvantages,
  lengthWeightedBaseline,
  scaledGroupAdvantages,
  whiten,
} from "@trimtab/kernels";
import { mean } from "../rl/mean";
import { countingTokens, type Rollout, spreadRows } from "../rl/rollout";

/** The mean return of all rounds so far; JSON. */
export interface RunningMean {
  readonly mean: number;
  readonly count: number;
}

export interface ReturnInputs {
  readonly rollout: Rollout;
  /** r_t; 0 where a token does not count. (N) */
  readonly tokenRewards: Float64Array;
  /** Rewards of completions without the KL; NaN where none applies. (S) */
  readonly rewards: ArrayLike<number>;
  /** ReMax: the reward of each prompt's greedy completion. */
  readonly greedyRewards: ArrayLike<number> | undefined;
  readonly running: RunningMean;
}

export interface ReturnSettings {
  readonly numGenerations: number;
  readonly gamma: number;
  readonly credit: "total" | "reward_to_go";
  readonly baseline: "none" | "mean" | "running_mean";
}

/** Advantages (N), 0 where a token does not count. */
type Rule = (inputs: ReturnInputs & { readonly totals: Float64Array }, settings: ReturnSettings) => Float32Array;

/** Whether a rule compares the completions of a prompt, and the rule. */
export const advantageEstimators = {
  /** Williams 1992, with the return to go or the whole return, less a baseline. */
  reinforce: { isGrouped: false, rule: plain },
  /** Hu 2025: discounted returns to go, whitened over the round's tokens. */
  reinforce_plus_plus: { isGrouped: false, rule: (inputs, { gamma }) => whitened(inputs.rollout, returnsOf(inputs, gamma)) },
  /** Hu 2025: rewards less their group's mean, whitened over the round's tokens. */
  reinforce_plus_plus_baseline: {
    isGrouped: true,
    rule({ rollout, totals }, { numGenerations }) {
      const centred = groupAdvantages(totals, { groupSize: numGenerations, scaleRewards: "none" });
      return whitened(rollout, Float64Array.from(spreadRows(rollout, centred)));
    },
  },
  /** Li et al. 2024: less the reward of the greedy completion. */
  remax: {
    isGrouped: false,
    rule: ({ rollout, totals, greedyRewards = [] }, { numGenerations }) =>
      spreadRows(rollout, greedyBaseline(totals, greedyRewards, { groupSize: numGenerations })),
  },
  /** Hao et al. 2025: less the group's mean weighted by length. */
  opo: {
    isGrouped: true,
    rule({ rollout, totals }, { numGenerations }) {
      const lengths = rollout.ends.map((_, row) => countingTokens(rollout, row));
      return spreadRows(rollout, lengthWeightedBaseline(totals, lengths, { groupSize: numGenerations }));
    },
  },
  /** Chu et al. 2025: less the group's mean, scaled for what failed. */
  gpg: {
    isGrouped: true,
    rule: ({ rollout, totals }, { numGenerations }) => spreadRows(rollout, scaledGroupAdvantages(totals, { groupSize: numGenerations })),
  },
} as const satisfies Readonly<Record<string, { readonly isGrouped: boolean; readonly rule: Rule }>>;

/** verl's names, but for `reinforce`. */
export type AdvantageEstimator = keyof typeof advantageEstimators;

/** Advantages (N), and the running mean with this round's returns in it. */
export function reinforceAdvantages(
  inputs: ReturnInputs,
  settings: ReturnSettings & { readonly advantageEstimator: AdvantageEstimator },
): { advantages: Float32Array; running: RunningMean } {
  const totals = totalsOf(inputs);
  const rule: Rule = advantageEstimators[settings.advantageEstimator].rule;
  const present = totals.filter((total) => !Number.isNaN(total));
  const count = inputs.running.count + present.length;
  const sum = inputs.running.mean * inputs.running.count + present.reduce((a, b) => a + b, 0);
  return { advantages: rule({ ...inputs, totals }, settings), running: { mean: count > 0 ? sum / count : 0, count } };
}

function plain(inputs: ReturnInputs & { readonly totals: Float64Array }, { credit, baseline, gamma }: ReturnSettings): Float32Array {
  const { rollout, rewards, totals, running } = inputs;
  const present = totals.filter((total) => !Number.isNaN(total));
  const subtracted = { none: 0, mean: present.length > 0 ? mean(present) : 0, running_mean: running.mean }[baseline];
  if (credit === "total")
    return spreadRows(
      rollout,
      totals.map((total) => (Number.isNaN(total) ? 0 : total - subtracted)),
    );
  const returns = returnsOf(inputs, gamma);
  // A completion without a reward is no evidence against the baseline.
  const counted = spreadRows(
    rollout,
    Float64Array.from(rewards, (reward) => (Number.isNaN(reward) ? 0 : 1)),
  );
  return Float32Array.from(returns, (value, n) => (counted[n] ? value - subtracted : 0));
}

/** Σ_t r_t of each completion, NaN where it has no reward. (S) */
function totalsOf({ rollout, tokenRewards, rewards }: ReturnInputs): Float64Array {
  return Float64Array.from(rewards, (reward, row) => {
    if (Number.isNaN(reward)) return Number.NaN;
    return tokenRewards.subarray(rollout.offsets[row], rollout.offsets[row + 1]).reduce((sum, r) => sum + r, 0);
  });
}

const returnsOf = ({ rollout, tokenRewards }: ReturnInputs, gamma: number): Float64Array =>
  discountedReturns({ rewards: tokenRewards, offsets: rollout.offsets, mask: rollout.mask, gamma });

/** Whitened over the counting tokens; all 0 where there are fewer than two. */
function whitened({ mask }: Rollout, values: Float64Array): Float32Array {
  const count = mask.reduce((sum, m) => sum + m, 0);
  return count < 2 ? new Float32Array(values.length) : Float32Array.from(whiten(values, { mask }), (value) => value + 0);
}
