/** One advantage per completion, in f64: rewards combined, and compared with those of the other completions of their prompt. */
import { ArgumentError, requireInteger } from "./argument-error";
import { host, Scratch } from "./host-module";
import { REWARD_SCALES, type RewardScale } from "./reward-scale";

/** One reward per completion; `null`, `undefined` or NaN means that the reward function does not apply to it. */
export type Rewards = ArrayLike<number | null | undefined>;

function present(rewards: Rewards, into: Float64Array, offset: number, where: string): void {
  for (let i = 0; i < rewards.length; i++) {
    const reward = rewards[i] ?? Number.NaN;
    if (reward === Number.POSITIVE_INFINITY || reward === Number.NEGATIVE_INFINITY) {
      throw new ArgumentError(
        `${where}: a reward must be finite or null, got ${reward} at index ${i}. Clip or skip it in the reward function.`,
      );
    }
    into[offset + i] = reward;
  }
}

function vector(rewards: Rewards, where: string): Float64Array {
  const values = new Float64Array(rewards.length);
  present(rewards, values, 0, where);
  return values;
}

function requireGroups(where: string, n: number, groupSize: number, least = 2): void {
  requireInteger(where, "groupSize", groupSize, least);
  if (n % groupSize !== 0) {
    throw new ArgumentError(
      `${where}: rewards must come in whole groups of ${groupSize}, got ${n}. Pass every group's completions together.`,
    );
  }
}

/** Rewards of K functions for B completions, `(K)[B]`, and their weights. */
export interface CombineOptions {
  /** One weight per reward function; default 1 each. */
  readonly weights?: ArrayLike<number>;
  /** TRL's reward_clip_range, applied to the weighted sum; default none. */
  readonly clipRange?: readonly [low: number, high: number];
}

function table(rewards: readonly Rewards[], weights: ArrayLike<number> | undefined, where: string) {
  const columns = rewards[0]?.length ?? 0;
  const values = new Float64Array(rewards.length * columns);
  rewards.forEach((row, b) => {
    if (row.length !== columns) {
      throw new ArgumentError(
        `${where}: every completion must have ${columns} rewards, got ${row.length} at index ${b}. Use null where one does not apply.`,
      );
    }
    present(row, values, b * columns, where);
  });
  const scale = weights ?? new Float64Array(columns).fill(1);
  if (scale.length !== columns) {
    throw new ArgumentError(
      `${where}: weights must have one number per reward function (${columns}), got ${scale.length}. Correct the weights.`,
    );
  }
  return { values, columns, scale };
}

/**
 * reward_b = sum_k w_k r_{b,k} over the functions that apply; NaN where none does. `rewards` is one row of K per completion.
 * Source: TRL GRPOTrainer (nansum) and, for the clip, RLOOTrainer.
 */
export function combineRewards(rewards: readonly Rewards[], options: CombineOptions = {}): Float64Array<ArrayBuffer> {
  const { values, columns, scale } = table(rewards, options.weights, "combineRewards");
  const [low, high] = options.clipRange ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const scratch = new Scratch();
  const [from, weights] = [scratch.f64(values), scratch.f64(scale)];
  const out = scratch.reserve(rewards.length * 8);
  host().combine_rewards(out, from, weights, rewards.length, columns, low, high);
  return scratch.takeF64(out, rewards.length);
}

/** Options of {@link groupAdvantages}. */
export interface GroupAdvantageOptions {
  /** G: completions per prompt, at least 2; groups are consecutive. */
  readonly groupSize: number;
  /** Default "group". "none" is Dr. GRPO. */
  readonly scaleRewards?: RewardScale;
  /** Added to the standard deviation; default 1e-4 as in TRL. */
  readonly epsilon?: number;
}

/**
 * GRPO: A_b = (r_b - mean of its group) / (std + epsilon), std with Bessel's correction. (B) in, (B) out.
 * Source: TRL GRPOTrainer, `multi_objective_aggregation="sum_then_normalize"`. Departures: equal rewards give exactly 0,
 * and so does the only present reward of a group (TRL divides 0 by 0 there).
 */
export function groupAdvantages(rewards: Rewards, options: GroupAdvantageOptions): Float64Array<ArrayBuffer> {
  const { groupSize, scaleRewards = "group", epsilon = 1e-4 } = options;
  requireGroups("groupAdvantages", rewards.length, groupSize);
  const scratch = new Scratch();
  const from = scratch.f64(vector(rewards, "groupAdvantages"));
  const out = scratch.reserve(rewards.length * 8);
  host().group_advantages(out, from, rewards.length, groupSize, REWARD_SCALES[scaleRewards], epsilon);
  return scratch.takeF64(out, rewards.length);
}

/** Options of {@link normalizeThenSum}. */
export interface NormalizeThenSumOptions {
  /** G: completions per prompt, at least 2; groups are consecutive. */
  readonly groupSize: number;
  /** One weight per reward function; default 1 each. */
  readonly weights?: ArrayLike<number>;
  /** Added to both standard deviations; default 1e-4. */
  readonly epsilon?: number;
}

/**
 * GDPO: each function's rewards are normalised within their group, weighted, summed (`rewards`, NaN where none applies), and
 * the sums normalised over the batch (`advantages`). One row of K per completion in, (B) out.
 * Source: TRL GRPOTrainer, `multi_objective_aggregation="normalize_then_sum"`.
 */
export function normalizeThenSum(
  rewards: readonly Rewards[],
  options: NormalizeThenSumOptions,
): { advantages: Float64Array<ArrayBuffer>; rewards: Float64Array<ArrayBuffer> } {
  const { groupSize, epsilon = 1e-4 } = options;
  requireGroups("normalizeThenSum", rewards.length, groupSize);
  const { values, columns, scale } = table(rewards, options.weights, "normalizeThenSum");
  const scratch = new Scratch();
  const [from, weights] = [scratch.f64(values), scratch.f64(scale)];
  const column = scratch.reserve(groupSize * 8);
  const sums = scratch.reserve(rewards.length * 8);
  const out = scratch.reserve(rewards.length * 8);
  host().normalize_then_sum(sums, from, weights, column, rewards.length, columns, groupSize, epsilon);
  host().standardize(out, sums, rewards.length, epsilon);
  return { advantages: scratch.takeF64(out, rewards.length), rewards: scratch.takeF64(sums, rewards.length) };
}

/** Options of {@link leaveOneOut}. */
export interface LeaveOneOutOptions {
  /** G: completions per prompt, at least 2; groups are consecutive. */
  readonly groupSize: number;
  /** Normalise the advantages over the batch, (A - mean) / (std + epsilon); default false. */
  readonly normalize?: boolean;
  /** Default 1e-4. */
  readonly epsilon?: number;
}

/**
 * RLOO: A_b = r_b - mean of the present rewards of its siblings; 0 where there is no reward or no sibling has one. (B) in, (B) out.
 * Source: TRL RLOOTrainer (a KL penalty belongs into the rewards before).
 */
export function leaveOneOut(rewards: Rewards, options: LeaveOneOutOptions): Float64Array<ArrayBuffer> {
  const { groupSize, normalize = false, epsilon = 1e-4 } = options;
  requireGroups("leaveOneOut", rewards.length, groupSize);
  const scratch = new Scratch();
  const from = scratch.f64(vector(rewards, "leaveOneOut"));
  const out = scratch.reserve(rewards.length * 8);
  host().leave_one_out(out, from, rewards.length, groupSize);
  if (normalize) host().standardize(out, out, rewards.length, epsilon);
  return scratch.takeF64(out, rewards.length).map((x) => (Number.isNaN(x) ? 0 : x));
}

/** Standardises over the batch: (x - mean) / (std + epsilon) with Bessel's correction, NaN skipped and given 0. (B) in, (B) out. */
export function standardize(values: Rewards, options: { readonly epsilon?: number } = {}): Float64Array<ArrayBuffer> {
  const scratch = new Scratch();
  const from = scratch.f64(vector(values, "standardize"));
  host().standardize(from, from, values.length, options.epsilon ?? 1e-4);
  return scratch.takeF64(from, values.length);
}

/** Options of the rules that only need to know the groups. */
export interface GroupOptions {
  /** Completions per prompt; groups are consecutive. */
  readonly groupSize: number;
}

/**
 * Standard deviation (Bessel) of each group's present rewards, exactly 0 where they are equal or fewer than two. (B) in, (P) out.
 * DAPO's dynamic sampling keeps a group only where this is above 0 (Yu et al. 2025, section 3.2).
 */
export function groupSpreads(rewards: Rewards, { groupSize }: GroupOptions): Float64Array<ArrayBuffer> {
  requireGroups("groupSpreads", rewards.length, groupSize);
  const scratch = new Scratch();
  const from = scratch.f64(vector(rewards, "groupSpreads"));
  const out = scratch.reserve((rewards.length / groupSize) * 8);
  host().group_spreads(out, from, rewards.length, groupSize);
  return scratch.takeF64(out, rewards.length / groupSize);
}

/**
 * ReMax: A_b = r_b - the reward of the greedy completion of its prompt, 0 where either is absent. (B) and (P) in, (B) out.
 * Source: Li et al. 2024, algorithm 1. `groupSize` may be 1, as in the paper.
 */
export function greedyBaseline(rewards: Rewards, greedyRewards: Rewards, { groupSize }: GroupOptions): Float64Array<ArrayBuffer> {
  requireGroups("greedyBaseline", rewards.length, groupSize, 1);
  if (greedyRewards.length * groupSize !== rewards.length) {
    throw new ArgumentError(
      `greedyBaseline: there must be one greedy reward for each of the ${rewards.length / groupSize} groups, got ${greedyRewards.length}. Pass the greedy completion of every prompt.`,
    );
  }
  const scratch = new Scratch();
  const from = scratch.f64(vector(rewards, "greedyBaseline"));
  const baselines = scratch.f64(vector(greedyRewards, "greedyBaseline"));
  host().subtract_baselines(from, from, baselines, rewards.length, groupSize);
  return scratch.takeF64(from, rewards.length);
}

/**
 * OPO: A_b = r_b - Σ n_i r_i / Σ n_i over the present rewards of its group, n_i = `lengths` in counting tokens; 0 where there is no reward. (B) in, (B) out.
 * Source: Hao et al. 2025 (the variance-minimising baseline when a completion's squared score grows with its length); verl `opo`.
 */
export function lengthWeightedBaseline(
  rewards: Rewards,
  lengths: ArrayLike<number>,
  { groupSize }: GroupOptions,
): Float64Array<ArrayBuffer> {
  requireGroups("lengthWeightedBaseline", rewards.length, groupSize);
  if (lengths.length !== rewards.length) {
    throw new ArgumentError(
      `lengthWeightedBaseline: there must be one length for each of the ${rewards.length} rewards, got ${lengths.length}. Pass arrays of one batch.`,
    );
  }
  const scratch = new Scratch();
  const [from, weights] = [scratch.f64(vector(rewards, "lengthWeightedBaseline")), scratch.f64(lengths)];
  const baselines = scratch.reserve((rewards.length / groupSize) * 8);
  host().length_weighted_means(baselines, from, weights, rewards.length, groupSize);
  host().subtract_baselines(from, from, baselines, rewards.length, groupSize);
  return scratch.takeF64(from, rewards.length);
}

/** Options of {@link passAtK}. */
export interface PassAtKOptions extends GroupOptions {
  /** Divide by the group's standard deviation; default false. */
  readonly scale?: boolean;
  /** Added to the standard deviation; default 1e-6 as in verl. */
  readonly epsilon?: number;
}

/**
 * Pass@k: only the best completion of a group learns, with A = r_max - r_second; all others get 0, and so do ties for the best.
 * (B) in, (B) out. Source: Tang et al. 2025; verl `grpo_passk`. A group with fewer than two present rewards gets 0.
 */
export function passAtK(rewards: Rewards, { groupSize, scale = false, epsilon = 1e-6 }: PassAtKOptions): Float64Array<ArrayBuffer> {
  requireGroups("passAtK", rewards.length, groupSize);
  const scratch = new Scratch();
  const from = scratch.f64(vector(rewards, "passAtK"));
  const out = scratch.reserve(rewards.length * 8);
  host().best_minus_second(out, from, rewards.length, groupSize, scale ? 1 : 0, epsilon);
  return scratch.takeF64(out, rewards.length);
}

/**
 * GPG: A_b = α (r_b - mean of its group), α = B / number of rewards that are not 0: groups that all failed add nothing, so the rest is
 * scaled up. (B) in, (B) out. Source: Chu et al. 2025; verl `gpg` with f_norm 1.
 */
export function scaledGroupAdvantages(rewards: Rewards, { groupSize }: GroupOptions): Float64Array<ArrayBuffer> {
  const advantages = groupAdvantages(rewards, { groupSize, scaleRewards: "none" });
  const given = Array.from(rewards).filter((reward) => reward !== null && reward !== undefined && !Number.isNaN(reward));
  const alpha = given.length / Math.max(1, given.filter((reward) => reward !== 0).length);
  return advantages.map((advantage) => alpha * advantage);
}

/** Index into `rewards` of the best completion of each group, the first of ties; undefined where a group has no reward. (B) in, (P) out. */
export function bestOfGroup(rewards: Rewards, { groupSize }: GroupOptions): (number | undefined)[] {
  requireGroups("bestOfGroup", rewards.length, groupSize, 1);
  return Array.from({ length: rewards.length / groupSize }, (_, g) => {
    let best: number | undefined;
    for (let i = g * groupSize; i < (g + 1) * groupSize; i++) {
      const reward = rewards[i] ?? Number.NaN;
      if (Number.isNaN(reward)) continue;
      if (best === undefined || reward > (rewards[best] as number)) best = i;
    }
    return best;
  });
}
