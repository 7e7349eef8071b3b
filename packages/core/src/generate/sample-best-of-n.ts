/** Samples n completions of each prompt of a dataset, has them scored, and keeps those worth learning from. */
import type { DatasetRow } from "../data/jsonl";
import { asTurns, type EncodedPrompt, tokenizePrompts } from "../data/tokenize";
import { ConfigError } from "../errors";
import type { SignalLike } from "../rl/abort";
import { type RewardFunction, scoreCompletions } from "../rl/rewards";
import type { Tokenizer } from "../tokenizer/tokenizer";
import { type BestOfN, type BestOfNOptions, selectBestOfN } from "./best-of-n";
import { generate } from "./generate";
import type { GenerateOptions, GenerationModel } from "./options";

export interface SampleBestOfNOptions
  extends BestOfNOptions,
    Omit<GenerateOptions, "model" | "prompts" | "n" | "streams" | "maxNewTokens" | "seed" | "signal"> {
  readonly model: GenerationModel & { readonly tokenizer: Tokenizer };
  /** Prompt-only rows; other columns go to the reward functions and are handed on. */
  readonly rows: readonly DatasetRow[];
  /** Their weighted sum is the reward. */
  readonly rewards: readonly RewardFunction[];
  /** One per function. Default 1 each. */
  readonly rewardWeights?: readonly number[] | undefined;
  /** "skip" counts a failing reward as null, "throw" ends the run. Default "throw". */
  readonly onRewardError?: "throw" | "skip" | undefined;
  /** Longest that one call of an async reward may take. Default: no bound. */
  readonly rewardTimeoutMs?: number | undefined;
  /** n. Default 8. */
  readonly numGenerations?: number | undefined;
  /** Longest completion in tokens. Default 512, or half of the model's context where that is shorter. */
  readonly maxCompletionLength?: number | undefined;
  readonly signal?: SignalLike | undefined;
}

/** Throws ConfigError for bad options, DataError for malformed or too long prompts, RewardError from rewards. */
export async function sampleBestOfN(options: SampleBestOfNOptions): Promise<BestOfN> {
  const { model, rows, rewards, rewardWeights, onRewardError, rewardTimeoutMs, numGenerations = 8, ...rest } = options;
  const { keep, threshold, selectionTemperature, dropTruncated, seed = 42, signal, maxCompletionLength, ...sampling } = rest;
  const choice = { keep, threshold, selectionTemperature, dropTruncated, seed };
  // Bad options of the choice are known before the work whose result it is made from.
  selectBestOfN([], [], choice);
  const { maxPositions } = model.decoder.config;
  const maxNewTokens = maxCompletionLength ?? Math.min(512, Math.floor(maxPositions / 2));
  if (!(maxNewTokens < maxPositions)) {
    throw new ConfigError(
      `sampleBestOfN: maxCompletionLength must be below the model's context of ${maxPositions}, got ${maxNewTokens}. Lower it.`,
    );
  }
  if (rewards.length === 0) throw new ConfigError("sampleBestOfN: rewards must be at least one function, got none. Give some.");
  const prompts = tokenizePrompts(rows, model.tokenizer, maxPositions - maxNewTokens);
  const sampled = await generate({
    ...sampling,
    model,
    prompts: prompts.map(({ tokens }) => tokens),
    n: numGenerations,
    maxNewTokens,
    seed,
    signal,
  });
  const asked = sampled.map(({ promptIndex }) => prompts[promptIndex] as EncodedPrompt);
  const names = new Set(prompts.flatMap(({ columns }) => Object.keys(columns)));
  const scored = await scoreCompletions(
    {
      prompts: asked.map(({ prompt }) => prompt),
      completions: sampled.map(({ text }, s) => asTurns((asked[s] as EncodedPrompt).prompt, text)),
      completionIds: sampled.map(({ tokens }) => tokens),
      columns: Object.fromEntries([...names].map((name) => [name, asked.map(({ columns }) => columns[name])])),
      trainerState: { globalStep: 0, maxSteps: 0, epoch: 0 },
    },
    { functions: rewards, weights: rewardWeights, onRewardError, timeoutMs: rewardTimeoutMs, signal },
  );
  const completions = prompts.map((_, i) =>
    sampled.flatMap(({ promptIndex, text, finishReason }, s) =>
      promptIndex === i ? [{ text, reward: scored.rewards[s] as number, truncated: finishReason === "length" }] : [],
    ),
  );
  return selectBestOfN(prompts, completions, choice);
}
