/** Credit over the tokens of ragged rows in f64: generalised advantage estimation, returns, process supervision, whitening. */
import { ArgumentError, requireInteger } from "./argument-error";
import { host, Scratch } from "./host-module";
import { REWARD_SCALES, type RewardScale } from "./reward-scale";

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

/** The reward of one step of a completion. */
export interface StepReward {
  /** Index of the step's last token in its row. */
  readonly end: number;
  /** `null` or NaN: the step was not judged. */
  readonly value: number | null;
}

/** Inputs of {@link processAdvantages}. */
export interface ProcessInputs {
  /** Step rewards of each row, in any order. (S) */
  readonly steps: readonly (readonly StepReward[])[];
  /** Row s has the tokens [offsets[s], offsets[s + 1]). (S + 1) */
  readonly offsets: ArrayLike<number>;
  /** G: rows per prompt; groups are consecutive. */
  readonly groupSize: number;
  /** Which standard deviation divides: of the group's steps (default), of all steps, or none. */
  readonly scaleRewards?: RewardScale;
  /** Added to the standard deviation; default 1e-4, as for outcome rewards. */
  readonly epsilon?: number;
}

/**
 * Process supervision: all step rewards of all G completions of a prompt are normalised with one mean and standard deviation (Bessel), whatever
 * their number per completion, and A_t = Σ of the normalised rewards of the steps that end at t or later: constant within a step, 0 after the last. (N) out.
 * Source: Shao et al. 2024 (DeepSeekMath), section 4.1.3. A completion with more steps adds more terms to mean and deviation, and |A| grows with the
 * number of steps to come; the paper corrects neither. Departure: equal rewards, and the only one of a group, give exactly 0.
 */
export function processAdvantages(inputs: ProcessInputs): Float64Array<ArrayBuffer> {
  const { steps, offsets, groupSize, scaleRewards = "group", epsilon = 1e-4 } = inputs;
  const rows = steps.length;
  const n = offsets[offsets.length - 1] ?? 0;
  requireRows("processAdvantages", n, { offsets });
  requireInteger("processAdvantages", "groupSize", groupSize, 1);
  if (offsets.length !== rows + 1 || rows % groupSize !== 0) {
    throw new ArgumentError(
      `processAdvantages: steps must be given for whole groups of ${groupSize} and for each of the ${offsets.length - 1} rows, got ${rows}. Pass every completion, with an empty list where no step was judged.`,
    );
  }
  steps.forEach((row, s) => {
    const length = (offsets[s + 1] as number) - (offsets[s] as number);
    for (const { end, value } of row) {
      if (!(Number.isInteger(end) && end >= 0 && end < length && Math.abs(value ?? 0) !== Number.POSITIVE_INFINITY)) {
        throw new ArgumentError(
          `processAdvantages: a step must end at one of the ${length} tokens of its row and its reward be finite or null, got end ${end} and ${value} in row ${s}. Correct the step rewards.`,
        );
      }
    }
  });
  const flat = steps.flat();
  const starts = new Uint32Array(rows + 1);
  steps.forEach((row, s) => {
    starts[s + 1] = (starts[s] as number) + row.length;
  });
  const scratch = new Scratch();
  const values = scratch.f64(flat.map(({ value }) => value ?? Number.NaN));
  const ends = scratch.u32(flat.map(({ end }) => end));
  const [k, o, out] = [scratch.u32(starts), scratch.u32(offsets), scratch.reserve(n * 8)];
  host().process_advantages(out, values, ends, k, o, rows, groupSize, REWARD_SCALES[scaleRewards], epsilon);
  return scratch.takeF64(out, n);
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
