/** Completions to learn from: flat, ragged, token ids in and token ids out. The one rollout type of every algorithm. */

/**
 * Why a completion ended: an EOS token, a stop string, the environment (its episode was over), or "length": it was cut short by a limit
 * of tokens, of the context or of turns, and might have gone on.
 */
export type RolloutEnd = "stop" | "stop_string" | "environment" | "length";

/** S rows of prompt and completion tokens laid end to end, and one value per token where it says (N). */
export interface Rollout {
  /** u32 (N) */
  readonly tokens: Uint32Array;
  /** Row s is [offsets[s], offsets[s + 1]). (S + 1) */
  readonly offsets: Uint32Array;
  /** First completion token of each row. (S) */
  readonly completionStarts: Uint32Array;
  /** 1 = the token counts in the loss: tokens that the policy chose. (N) */
  readonly mask: Uint8Array;
  /** The sampler's log-probabilities; 0 in prompts. (N) */
  readonly samplerLogps: Float32Array;
  /** (S) */
  readonly ends: readonly RolloutEnd[];
}

/** One sampled completion, as generation or an environment gives it. */
export interface SampledCompletion {
  readonly promptTokens: Uint32Array;
  readonly tokens: Uint32Array;
  /** 0 where an environment chose the token. */
  readonly logps: Float32Array;
  /** 1 = the policy chose the token, 0 = an environment or a tool did. Default: the policy chose all of them. (T) */
  readonly mask?: Uint8Array | undefined;
  readonly finishReason: RolloutEnd;
}

/** Lays completions end to end. `maskTruncated` makes every token of a completion cut short by the length limit count for nothing. */
export function buildRollout(completions: readonly SampledCompletion[], maskTruncated: boolean): Rollout {
  const total = completions.reduce((sum, c) => sum + c.promptTokens.length + c.tokens.length, 0);
  const tokens = new Uint32Array(total);
  const offsets = new Uint32Array(completions.length + 1);
  const completionStarts = new Uint32Array(completions.length);
  const mask = new Uint8Array(total);
  const samplerLogps = new Float32Array(total);
  let at = 0;
  completions.forEach((completion, s) => {
    tokens.set(completion.promptTokens, at);
    at += completion.promptTokens.length;
    completionStarts[s] = at;
    tokens.set(completion.tokens, at);
    samplerLogps.set(completion.logps, at);
    const counts = !(maskTruncated && completion.finishReason === "length");
    if (counts && completion.mask) mask.set(completion.mask, at);
    else if (counts) mask.fill(1, at, at + completion.tokens.length);
    at += completion.tokens.length;
    offsets[s + 1] = at;
  });
  return { tokens, offsets, completionStarts, mask, samplerLogps, ends: completions.map((c) => c.finishReason) };
}

/** Tokens and mask of one row: a sequence to train on. */
export function rolloutRow(rollout: Rollout, row: number): { tokens: Uint32Array; mask: Uint8Array } {
  const [start, end] = [rollout.offsets[row] as number, rollout.offsets[row + 1] as number];
  return { tokens: rollout.tokens.subarray(start, end), mask: rollout.mask.subarray(start, end) };
}

/** Counting tokens of one row. */
export function countingTokens(rollout: Rollout, row: number): number {
  return rolloutRow(rollout, row).mask.reduce((sum, m) => sum + m, 0);
}

/** One value per row (S) at every counting token of the row, 0 elsewhere. (N) */
export function spreadRows(rollout: Rollout, values: ArrayLike<number>): Float32Array {
  const spread = new Float32Array(rollout.tokens.length);
  rollout.ends.forEach((_, row) => {
    for (let n = rollout.offsets[row] as number; n < (rollout.offsets[row + 1] as number); n++) {
      if (rollout.mask[n]) spread[n] = values[row] as number;
    }
  });
  return spread;
}

/** Values (N) at the counting tokens of `rows`, in the order in which a batch of these rows lists its targets. */
export function gatherCounting(rollout: Rollout, rows: readonly number[], values: Float32Array): Float32Array {
  const gathered: number[] = [];
  for (const row of rows) {
    for (let n = rollout.offsets[row] as number; n < (rollout.offsets[row + 1] as number); n++) {
      if (rollout.mask[n]) gathered.push(values[n] as number);
    }
  }
  return Float32Array.from(gathered);
}

/** The inverse of {@link gatherCounting}: writes `gathered` to the counting tokens of `rows` in `values` (N). */
export function scatterCounting(rollout: Rollout, rows: readonly number[], gathered: ArrayLike<number>, values: Float32Array): void {
  let at = 0;
  for (const row of rows) {
    for (let n = rollout.offsets[row] as number; n < (rollout.offsets[row + 1] as number); n++) {
      if (rollout.mask[n]) values[n] = gathered[at++] as number;
    }
  }
}
