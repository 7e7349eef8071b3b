/** A rollout with its rewards, and with what the optimiser steps on it share: what a checkpoint keeps between two of them. */
import type { Turns } from "../data/formats";
import type { Metrics } from "./metrics";
import type { StepReward } from "./rewards";
import type { Rollout, RolloutEnd } from "./rollout";

/** One line of the table of completions. */
export interface ScoredCompletion {
  readonly prompt: Turns;
  /** Text, or the assistant's message (with those of tools, in an environment). */
  readonly completion: Turns;
  readonly finishReason: RolloutEnd;
  /** By function name. */
  readonly rewards: Readonly<Record<string, number | null>>;
  /** Their weighted sum; null where none applies. */
  readonly reward: number | null;
  /** Mean over the counting tokens. */
  readonly advantage: number;
  /** Columns from the reward functions' `logExtra`. */
  readonly extras: Readonly<Record<string, unknown>>;
  /** What a step learned from, token by token; see {@link learnedFrom}. */
  readonly tokens?: CompletionTokens | undefined;
}

/** The tokens of a completion and what a step learned from them, (T) each. */
export interface CompletionTokens {
  readonly ids: Uint32Array;
  /** log π_old where the round recorded it, else that of the sampler; of tokens that do not count always the sampler's. */
  readonly logps: Float32Array;
  /** log π_ref; NaN where a token does not count. Undefined without a reference. */
  readonly refLogps?: Float32Array | undefined;
  /** 0 where a token does not count. */
  readonly advantages: Float32Array;
}

/** Sampled completions and what they earned. */
export interface ScoredRollout {
  readonly rollout: Rollout;
  /** Weighted sums; NaN where no function applies. (S) */
  readonly rewards: Float64Array;
  /** Rewards by function, each (S); NaN where it does not apply. */
  readonly rewardsByName: ReadonlyMap<string, Float64Array>;
  /** What steps of a completion earned. (S) */
  readonly stepRewards: readonly (readonly StepReward[] | undefined)[];
  /** What single tokens of a completion earned, each (T). (S) */
  readonly tokenRewards: readonly (Float64Array | undefined)[];
  /** (S) */
  readonly completions: readonly Omit<ScoredCompletion, "advantage">[];
  /** Rewards and lengths, for the metrics of every step on this rollout. */
  readonly metrics: Metrics;
  /** Prompt and completion tokens of everything that was sampled for it. */
  readonly sampledTokens: number;
}

/** What the optimiser steps of one round learn from; per-token values are (N), 0 where a token does not count. */
export interface Experience {
  readonly rollout: Rollout;
  readonly advantages: Float32Array;
  /** log π_old of the training pass; undefined where the only step is taken on fresh completions. */
  readonly oldLogps?: Float32Array | undefined;
  /** log π_ref; undefined without a reference. */
  readonly refLogps?: Float32Array | undefined;
  /** The same two where the KL is priced in the rewards, of which the advantages are made, and the loss itself needs neither. */
  readonly pricedLogps?: Float32Array | undefined;
  readonly pricedRefLogps?: Float32Array | undefined;
  /** Values of a critic when the rollout was made, and the returns it should have given. */
  readonly values?: Float32Array | undefined;
  readonly returns?: Float32Array | undefined;
  /** 1 where the value model learns; default: where the mask is 1. */
  readonly valueMask?: Float32Array | undefined;
  /** (S) */
  readonly completions: readonly ScoredCompletion[];
  readonly metrics: Metrics;
  /** Tokens sampled for the round, where those of the rollout are not all. */
  readonly sampledTokens?: number | undefined;
}

/** The mean advantage of each completion beside what else is known of it. */
export function withAdvantages(scored: ScoredRollout, advantages: Float32Array): ScoredCompletion[] {
  const { offsets, mask } = scored.rollout;
  return scored.completions.map((completion, s) => {
    let [sum, count] = [0, 0];
    for (let n = offsets[s] as number; n < (offsets[s + 1] as number); n++) {
      if (!mask[n]) continue;
      sum += advantages[n] as number;
      count++;
    }
    return { ...completion, advantage: count > 0 ? sum / count : 0 };
  });
}

/** The completions that a step learned from, with their tokens. */
export function learnedFrom(experience: Experience, rows: readonly number[]): ScoredCompletion[] {
  const { rollout, advantages, completions } = experience;
  const { offsets, completionStarts, mask, samplerLogps } = rollout;
  const oldLogps = experience.oldLogps ?? experience.pricedLogps;
  const refLogps = experience.refLogps ?? experience.pricedRefLogps;
  return rows.map((row) => {
    const [start, end] = [completionStarts[row] as number, offsets[row + 1] as number];
    const counts = mask.subarray(start, end);
    const sampled = samplerLogps.subarray(start, end);
    const recorded = oldLogps?.subarray(start, end);
    return {
      ...(completions[row] as ScoredCompletion),
      tokens: {
        ids: rollout.tokens.slice(start, end),
        logps: sampled.map((logp, t) => (recorded && counts[t] ? (recorded[t] as number) : logp)),
        refLogps: refLogps?.slice(start, end).map((logp, t) => (counts[t] ? logp : Number.NaN)),
        advantages: advantages.slice(start, end),
      },
    };
  });
}

const PER_TOKEN = ["advantages", "oldLogps", "refLogps", "pricedLogps", "pricedRefLogps", "values", "returns", "valueMask"] as const;

/** As JSON, for a training state: f32 values survive exactly. What a reward function logged is kept as far as JSON can. */
export function experienceToJSON(experience: Experience): Record<string, unknown> {
  const { rollout, completions, metrics } = experience;
  const { ends, ...arrays } = rollout;
  const plain = Object.entries(arrays).map(([name, values]) => [name, [...values]]);
  const perToken = PER_TOKEN.map((name) => [name, experience[name] && [...experience[name]]]);
  const extrasOf = (completion: ScoredCompletion) => JSON.parse(JSON.stringify(completion.extras)) as Record<string, unknown>;
  return {
    ...Object.fromEntries([...plain, ...perToken]),
    ends,
    completions: completions.map((completion) => ({ ...completion, extras: extrasOf(completion) })),
    metrics,
  };
}

/** The inverse of {@link experienceToJSON}. */
export function experienceFromJSON(json: Readonly<Record<string, unknown>>): Experience {
  const numbers = (field: string) => json[field] as number[];
  const perToken = PER_TOKEN.flatMap((name) => (json[name] ? [[name, Float32Array.from(numbers(name))]] : []));
  const { ends, completions, metrics } = json as unknown as Pick<Rollout, "ends"> & Pick<Experience, "completions" | "metrics">;
  return {
    ...(Object.fromEntries(perToken) as Pick<Experience, (typeof PER_TOKEN)[number]>),
    rollout: {
      tokens: Uint32Array.from(numbers("tokens")),
      offsets: Uint32Array.from(numbers("offsets")),
      completionStarts: Uint32Array.from(numbers("completionStarts")),
      mask: Uint8Array.from(numbers("mask")),
      samplerLogps: Float32Array.from(numbers("samplerLogps")),
      ends,
    },
    completions,
    metrics,
  };
}
