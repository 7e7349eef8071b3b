/**
 * Best of n and rejection sampling: which of a prompt's scored completions are worth learning from, as rows for supervised fine-tuning.
 *
 * Best of n: Stiennon et al. 2020, Nakano et al. 2021. Learning from the best and sampling again is RAFT (Dong et al. 2023), and the
 * rejection sampling of Llama 2 and DeepSeek-R1. Keeping by softmax(reward / temperature): the resampling of RSO (Liu et al. 2023).
 */
import { hostMath, uniform } from "@trimtab/kernels";
import { type Conversion, ConversionBuilder } from "../data/conversion";
import type { PromptRow } from "../data/formats";
import { asTurns } from "../data/tokenize";
import { ConfigError } from "../errors";

/** A completion and what it earned. */
export interface RewardedCompletion {
  readonly text: string;
  /** null or NaN: it could not be scored, and is never kept. */
  readonly reward: number | null;
  /** It was cut short by the length limit. Default false. */
  readonly truncated?: boolean | undefined;
}

export interface BestOfNOptions {
  /** Most completions kept of each prompt. Default 1. */
  readonly keep?: number | undefined;
  /** Least reward of what is kept. Default: any. */
  readonly threshold?: number | undefined;
  /** 0 (default) keeps the best; above 0 draws without replacement with probabilities proportional to exp(reward / temperature). */
  readonly selectionTemperature?: number | undefined;
  /** Leave out what the length limit cut short: fine-tuning would learn to stop there. Default true. */
  readonly dropTruncated?: boolean | undefined;
  /** Seed of the draws. Default 42. */
  readonly seed?: number | undefined;
}

export interface BestOfNStatistics {
  readonly prompts: number;
  /** Completions in all. */
  readonly completions: number;
  readonly accepted: number;
  /** Prompts of which something was kept. */
  readonly acceptedPrompts: number;
  /** Mean over all scored completions; NaN where there is none. */
  readonly meanRewardBefore: number;
  /** Mean over those kept; NaN where there is none. */
  readonly meanRewardAfter: number;
  /**
   * Most nats that the distribution of what is kept can be from the model's: {@link bestOfNKl} of the most completions of a prompt. Undefined
   * where it is not the best of n: more than one kept, a threshold, a temperature, or truncated ones left out.
   */
  readonly klBound: number | undefined;
}

/** Rows `prompt`, `completion`, `reward` and the prompt's other columns; what was left out and why; and figures. */
export interface BestOfN extends Conversion {
  readonly statistics: BestOfNStatistics;
}

/**
 * KL of the best of n from the policy it was sampled from, log n - (n - 1) / n nats: exact where no two completions have the same reward, an
 * upper bound always (Beirami et al. 2024, theorem 1).
 */
export function bestOfNKl(n: number): number {
  return hostMath.log(n) - (n - 1) / n;
}

/**
 * Chooses among `completions[i]`, those of `prompts[i]`. Of equal texts of a prompt the first stays; of equal rewards the first is better.
 * The rows of a prompt are in the order in which they were chosen. Throws ConfigError for bad options.
 */
export function selectBestOfN(
  prompts: readonly PromptRow[],
  completions: readonly (readonly RewardedCompletion[])[],
  options: BestOfNOptions = {},
): BestOfN {
  const { keep = 1, threshold = Number.NEGATIVE_INFINITY, selectionTemperature = 0, dropTruncated = true, seed = 42 } = options;
  if (!(Number.isSafeInteger(keep) && keep >= 1)) {
    throw new ConfigError(`selectBestOfN: keep must be a whole number of at least 1, got ${keep}. Correct it.`);
  }
  if (!(Number.isFinite(selectionTemperature) && selectionTemperature >= 0)) {
    throw new ConfigError(
      `selectBestOfN: selectionTemperature must be a number of at least 0, got ${selectionTemperature}. Use 0 for the best.`,
    );
  }
  if (Number.isNaN(threshold)) throw new ConfigError("selectBestOfN: threshold must be a number, got NaN. Leave it out for none.");
  const builder = new ConversionBuilder();
  const kept: number[] = [];
  let acceptedPrompts = 0;
  prompts.forEach(({ prompt, columns }, i) => {
    const all = completions[i] ?? [];
    const candidates = all.flatMap((completion, k) => {
      const reason = refusal(completion, all.slice(0, k), threshold, dropTruncated);
      if (reason !== undefined) {
        builder.drop(i + 1, reason);
        return [];
      }
      const reward = completion.reward as number;
      return [
        { text: completion.text, reward, key: selectionTemperature === 0 ? reward : reward / selectionTemperature + gumbel(seed, i, k) },
      ];
    });
    // A stable sort: of equal keys the first stays first.
    const order = candidates.sort((a, b) => b.key - a.key);
    for (const { text, reward } of order.slice(0, keep)) {
      builder.add(i + 1, { ...columns, prompt, completion: asTurns(prompt, text), reward });
      kept.push(reward);
    }
    for (const _ of order.slice(keep)) builder.drop(i + 1, "not among the best of its prompt");
    if (order.length > 0) acceptedPrompts++;
  });
  const scored = completions.flatMap((all) => all.flatMap(({ reward }) => (isScored(reward) ? [reward] : [])));
  const isBest = keep === 1 && threshold === Number.NEGATIVE_INFINITY && selectionTemperature === 0;
  const leavesOut = dropTruncated && completions.some((all) => all.some(({ truncated }) => truncated));
  return {
    ...builder.conversion,
    statistics: {
      prompts: prompts.length,
      completions: completions.reduce((sum, all) => sum + all.length, 0),
      accepted: kept.length,
      acceptedPrompts,
      meanRewardBefore: mean(scored),
      meanRewardAfter: mean(kept),
      klBound: isBest && !leavesOut ? bestOfNKl(Math.max(1, ...completions.map((all) => all.length))) : undefined,
    },
  };
}

/** Why a completion cannot be kept; undefined where it can. */
function refusal(
  { text, reward, truncated = false }: RewardedCompletion,
  earlier: readonly RewardedCompletion[],
  threshold: number,
  dropTruncated: boolean,
): string | undefined {
  if (!isScored(reward)) return "without a reward";
  if (dropTruncated && truncated) return "cut short by the length limit";
  if (reward < threshold) return "a reward below the threshold";
  return earlier.some((other) => other.text === text && refusal(other, [], threshold, dropTruncated) === undefined)
    ? "the same completion again"
    : undefined;
}

/** Adding this to log-weights and taking the k largest draws k without replacement (Kool et al. 2019). */
function gumbel(seed: number, prompt: number, completion: number): number {
  // Half a step away from 0, where the logarithm ends.
  const u = uniform(seed, prompt, completion) + 2 ** -25;
  return -hostMath.log(-hostMath.log(u));
}

const isScored = (reward: number | null): reward is number => reward !== null && !Number.isNaN(reward);

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
