/** A rollout with its rewards and advantages: what the optimiser steps of one generation batch share, and a checkpoint keeps. */
import type { Turns } from "../data/formats";
import type { Metrics } from "./metrics";
import type { Rollout, RolloutEnd } from "./rollout";

/** One line of the table of completions. */
export interface ScoredCompletion {
  readonly prompt: Turns;
  /** Text, or one assistant message. */
  readonly completion: Turns;
  readonly finishReason: RolloutEnd;
  /** By function name. */
  readonly rewards: Readonly<Record<string, number | null>>;
  /** Their weighted sum; null where none applies. */
  readonly reward: number | null;
  readonly advantage: number;
  /** Columns from the reward functions' `logExtra`. */
  readonly extras: Readonly<Record<string, unknown>>;
}

export interface ScoredRollout {
  readonly rollout: Rollout;
  /** (S) */
  readonly advantages: Float32Array;
  /** log π_old of the training pass (N); undefined where the only step is taken on fresh completions. */
  readonly oldLogps: Float32Array | undefined;
  /** log π_ref (N); undefined without a reference. */
  readonly refLogps: Float32Array | undefined;
  /** (S) */
  readonly completions: readonly ScoredCompletion[];
  /** Rewards and lengths, for the metrics of every step on this rollout. */
  readonly metrics: Metrics;
}

/** The rollout as JSON, for a training state: f32 values survive exactly. What a reward function logged is kept as far as JSON can. */
export function scoredRolloutToJSON(scored: ScoredRollout): Record<string, unknown> {
  const { rollout, advantages, oldLogps, refLogps, completions, metrics } = scored;
  const { ends, ...arrays } = rollout;
  const plain = Object.entries({ ...arrays, advantages, oldLogps, refLogps }).map(([name, values]) => [name, values && [...values]]);
  const extrasOf = (completion: ScoredCompletion) => JSON.parse(JSON.stringify(completion.extras)) as Record<string, unknown>;
  return {
    ...Object.fromEntries(plain),
    ends,
    completions: completions.map((completion) => ({ ...completion, extras: extrasOf(completion) })),
    metrics,
  };
}

/** The inverse of {@link scoredRolloutToJSON}. */
export function scoredRolloutFromJSON(json: Readonly<Record<string, unknown>>): ScoredRollout {
  const numbers = (field: string) => json[field] as number[];
  const optional = (field: string) => (json[field] ? Float32Array.from(numbers(field)) : undefined);
  const { ends, completions, metrics } = json as unknown as Pick<Rollout, "ends"> & Pick<ScoredRollout, "completions" | "metrics">;
  return {
    rollout: {
      tokens: Uint32Array.from(numbers("tokens")),
      offsets: Uint32Array.from(numbers("offsets")),
      completionStarts: Uint32Array.from(numbers("completionStarts")),
      mask: Uint8Array.from(numbers("mask")),
      samplerLogps: Float32Array.from(numbers("samplerLogps")),
      ends,
    },
    advantages: Float32Array.from(numbers("advantages")),
    oldLogps: optional("oldLogps"),
    refLogps: optional("refLogps"),
    completions,
    metrics,
  };
}
