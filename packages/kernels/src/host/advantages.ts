/** Advantage mathematics in f64: groups of completions, and credit over tokens of ragged rows. */
import { ArgumentError, requireInteger } from "./argument-error";
import { host, Scratch } from "./host-module";

/** One reward per completion; `null`, `undefined` or NaN means that the reward function does not apply to it. */
export type Rewards = ArrayLike<number | null | undefined>;

/** Which standard deviation divides a group's advantages. */
export type RewardScale = "group" | "batch" | "none";

const scales: Record<RewardScale, number> = { group: 0, batch: 1, none: 2 };

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

function requireGroups(where: string, n: number, groupSize: number): void {
  requireInteger(where, "groupSize", groupSize, 2);
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
  host().group_advantages(out, from, rewards.length, groupSize, scales[scaleRewards], epsilon);
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

/** Rows `offsets[s] ... offsets[s + 1]` of a ragged batch of N tokens. */
export interface RaggedRows {
  /** (S + 1), from 0 to N. */
  readonly offsets: ArrayLike<number>;
  /** (N), 1 = counts; default all. */
  readonly mask?: ArrayLike<number>;
}

function requireRows(where: string, n: number, { offsets, mask }: RaggedRows): void {
  const last = offsets[offsets.length - 1];
  let ordered = offsets.length > 0 && offsets[0] === 0 && last === n;
  for (let s = 1; ordered && s < offsets.length; s++) ordered = (offsets[s] ?? 0) >= (offsets[s - 1] ?? 0);
  if (!ordered) {
    throw new ArgumentError(
      `${where}: offsets must rise from 0 to ${n}, got ${Array.from(offsets).slice(0, 8).join(", ")} ... ${last}. Pass the batch's own offsets.`,
    );
  }
  requireLength(where, "mask", mask, n);
}

function requireLength(where: string, name: string, values: ArrayLike<number> | undefined, n: number): void {
  if (values !== undefined && values.length !== n) {
    throw new ArgumentError(`${where}: ${name} must have ${n} elements, got ${values.length}. Pass arrays of one batch.`);
  }
}

/** Inputs of {@link gae}. */
export interface GaeInputs extends RaggedRows {
  /** (N) */
  readonly rewards: ArrayLike<number>;
  /** (N) */
  readonly values: ArrayLike<number>;
  /** (S): the value after each row's last position, for rows cut short; default 0. */
  readonly lastValues?: ArrayLike<number>;
  /** (N): 1 where an episode ends with this position; default none (a row's end is an end). */
  readonly dones?: ArrayLike<number>;
  /** Discount per token; default 1. */
  readonly gamma?: number;
  /** Default 0.95. */
  readonly lambda?: number;
}

/**
 * Generalised advantage estimation, backward over each row: delta_t = r_t + gamma V_{t+1} - V_t,
 * A_t = delta_t + gamma lambda A_{t+1}, R_t = A_t + V_t (returns are taken before any whitening). Each result (N).
 * Source: Schulman et al. 2016; as in verl, mask-0 positions (tool output) pass V and A through, so that credit crosses them.
 * Departure: their own advantage and return are 0 rather than the carried value.
 */
export function gae(inputs: GaeInputs): { advantages: Float64Array<ArrayBuffer>; returns: Float64Array<ArrayBuffer> } {
  const { rewards, values, offsets, mask, lastValues, dones, gamma = 1, lambda = 0.95 } = inputs;
  const n = rewards.length;
  const rows = offsets.length - 1;
  requireRows("gae", n, inputs);
  requireLength("gae", "values", values, n);
  requireLength("gae", "dones", dones, n);
  requireLength("gae", "lastValues", lastValues, rows);
  const scratch = new Scratch();
  const [r, v, o] = [scratch.f64(rewards), scratch.f64(values), scratch.u32(offsets)];
  const m = mask ? scratch.flags(mask) : 0;
  const d = dones ? scratch.flags(dones) : 0;
  const l = lastValues ? scratch.f64(lastValues) : 0;
  const [advantages, returns] = [scratch.reserve(n * 8), scratch.reserve(n * 8)];
  host().gae(advantages, returns, r, v, o, m, d, l, rows, gamma, lambda);
  return { advantages: scratch.takeF64(advantages, n), returns: scratch.takeF64(returns, n) };
}

/** Inputs of {@link discountedReturns}. */
export interface ReturnInputs extends RaggedRows {
  /** (N) */
  readonly rewards: ArrayLike<number>;
  /** Discount per token; default 1. */
  readonly gamma?: number;
}

/**
 * R_t = r_t + gamma R_{t+1} over each row, (N); mask-0 positions get 0 and pass R through undiscounted.
 * Departure from verl's REINFORCE++, which resets R at mask 0: credit must cross tool output here as it does in {@link gae}.
 */
export function discountedReturns(inputs: ReturnInputs): Float64Array<ArrayBuffer> {
  const { rewards, offsets, mask, gamma = 1 } = inputs;
  requireRows("discountedReturns", rewards.length, inputs);
  const scratch = new Scratch();
  const [r, o] = [scratch.f64(rewards), scratch.u32(offsets)];
  const m = mask ? scratch.flags(mask) : 0;
  const out = scratch.reserve(rewards.length * 8);
  host().discounted_returns(out, r, o, m, offsets.length - 1, gamma);
  return scratch.takeF64(out, rewards.length);
}

/** Undiscounted reward to go: {@link discountedReturns} at gamma 1. */
export function rewardToGo(inputs: Omit<ReturnInputs, "gamma">): Float64Array<ArrayBuffer> {
  return discountedReturns({ ...inputs, gamma: 1 });
}

/** Options of {@link whiten}. */
export interface WhitenOptions {
  /** (N), 1 = counts; default all. */
  readonly mask?: ArrayLike<number>;
  /** Remove the mean; default true. False keeps it, as for rewards. */
  readonly shiftMean?: boolean;
  /** "bessel" divides by n - 1 (TRL, verl; default), "population" by n (lm-human-preferences). */
  readonly variance?: "bessel" | "population";
  /** Added to the variance; default 1e-8. */
  readonly epsilon?: number;
}

/**
 * w = (x - mean) / sqrt(var + epsilon) over mask 1; mask-0 positions give 0. (N) in, (N) out.
 * Source: TRL and verl `masked_whiten`. Too few counted values for the variance is an error, as in verl.
 */
export function whiten(values: ArrayLike<number>, options: WhitenOptions = {}): Float64Array<ArrayBuffer> {
  const { mask, shiftMean = true, variance = "bessel", epsilon = 1e-8 } = options;
  requireLength("whiten", "mask", mask, values.length);
  const ddof = variance === "bessel" ? 1 : 0;
  const scratch = new Scratch();
  const from = scratch.f64(values);
  const m = mask ? scratch.flags(mask) : 0;
  const out = scratch.reserve(values.length * 8);
  const count = host().whiten(out, from, m, values.length, ddof, shiftMean ? 1 : 0, epsilon);
  if (count <= ddof) {
    throw new ArgumentError(`whiten: at least ${ddof + 1} values must count, got ${count}. Use a larger batch or leave whitening off.`);
  }
  return scratch.takeF64(out, values.length);
}
