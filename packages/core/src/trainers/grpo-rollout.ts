/** The first half of a GRPO round: sample completions, score them, and compare them within their groups. */
import { groupAdvantages, type Seed, seedWords } from "@trimtab/kernels";
import { asTurns, type EncodedPrompt } from "../data/tokenize";
import { DataError } from "../errors";
import type { Completion } from "../generate/options";
import type { Decoder } from "../models/decoder";
import { completionMetrics, rewardMetrics } from "../rl/metrics";
import { scoreCompletions, type TrainerState } from "../rl/rewards";
import { buildRollout } from "../rl/rollout";
import type { ScoredCompletion, ScoredRollout } from "../rl/scored-rollout";
import type { GrpoSettings } from "./grpo-options";
import { rolloutLogps } from "./rollout-logps";
import type { TrainingModel } from "./training-model";

/** Samples, scores and compares: one generation batch. `position` is that of its first prompt in the data order. */
export async function rollOut(
  model: TrainingModel,
  reference: Decoder | undefined,
  prompts: readonly EncodedPrompt[],
  position: number,
  trainerState: TrainerState,
  settings: GrpoSettings,
): Promise<ScoredRollout> {
  const { numGenerations: G, rewards: functions, rewardWeights, onRewardError, rewardTimeoutMs, scaleRewards, signal } = settings;
  const completions = await settings.rolloutFunction({
    model,
    prompts: prompts.map((prompt) => prompt.tokens),
    n: G,
    maxNewTokens: settings.maxCompletionLength,
    temperature: settings.temperature,
    ...settings.sampling,
    stop: settings.stop,
    seed: samplingKey(settings.seed),
    streams: Uint32Array.from({ length: prompts.length * G }, (_, i) => position * G + i),
    signal,
  });
  requireCompletions(completions, prompts.length * G, model.decoder.config.vocabSize);
  const rollout = buildRollout(completions, settings.maskTruncatedCompletions);
  const asked = completions.map((completion) => prompts[completion.promptIndex] as EncodedPrompt);
  const names = new Set(prompts.flatMap((prompt) => Object.keys(prompt.columns)));
  const turns = completions.map((completion, s) => asTurns((asked[s] as EncodedPrompt).prompt, completion.text));
  const scored = await scoreCompletions(
    {
      prompts: asked.map(({ prompt }) => prompt),
      completions: turns,
      completionIds: completions.map(({ tokens }) => tokens),
      columns: Object.fromEntries([...names].map((name) => [name, asked.map(({ columns }) => columns[name])])),
      trainerState,
    },
    { functions, weights: rewardWeights, onRewardError, timeoutMs: rewardTimeoutMs, signal },
  );
  const advantages = Float32Array.from(groupAdvantages(scored.rewards, { groupSize: G, scaleRewards }), (advantage) => advantage + 0);
  return {
    rollout,
    advantages,
    oldLogps: settings.stepsPerRollout > 1 ? await rolloutLogps(model.decoder, rollout, settings) : undefined,
    refLogps: reference ? await rolloutLogps(reference, rollout, settings) : undefined,
    completions: turns.map((completion, s) => ({
      prompt: (asked[s] as EncodedPrompt).prompt,
      completion,
      finishReason: rollout.ends[s] as ScoredCompletion["finishReason"],
      rewards: Object.fromEntries([...scored.byName].map(([name, values]) => [name, values[s] as number | null])),
      reward: Number.isNaN(scored.rewards[s]) ? null : (scored.rewards[s] as number),
      advantage: advantages[s] as number,
      extras: Object.fromEntries(Object.entries(scored.extras).map(([column, values]) => [column, values[s]])),
    })),
    metrics: { ...completionMetrics(rollout), ...rewardMetrics(scored, G, scaleRewards) },
  };
}

/** A rollout function of the user's own may return anything. */
function requireCompletions(completions: readonly Completion[], count: number, vocabSize: number): void {
  const isWhole = ({ tokens, logps }: Completion) =>
    tokens.length > 0 && logps.length === tokens.length && tokens.every((t) => t < vocabSize);
  const bad = completions.length === count ? completions.findIndex((completion) => !isWhole(completion)) : completions.length;
  if (bad < 0) return;
  throw new DataError(
    `grpo: a rollout must be ${count} completions, each with tokens of the vocabulary and their log-probabilities, got ${completions.length} and a bad one at ${bad}. Correct rolloutFunction.`,
  );
}

/** Sampling draws from a key of its own, so that no stream of it meets those of initialisation and shuffling. */
function samplingKey(seed: number): Seed {
  const [lo, hi] = seedWords(seed);
  return [lo, (hi ^ 0x5a3d1e77) >>> 0];
}
