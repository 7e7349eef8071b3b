/** The first half of every on-policy round: sample completions of some prompts and have them scored. */
import { type RewardScale, type Seed, seedWords } from "@trimtab/kernels";
import { asTurns, type EncodedPrompt } from "../data/tokenize";
import { DataError } from "../errors";
import { LoggedMetrics } from "../rl/logged-metrics";
import { completionMetrics, rewardMetrics } from "../rl/metrics";
import { scoreCompletions, type TrainerState } from "../rl/rewards";
import { buildRollout } from "../rl/rollout";
import type { RolloutCompletion } from "../rl/rollout-function";
import type { ScoredRollout } from "../rl/scored-rollout";
import type { RolloutSettings } from "./rollout-options";
import type { TrainingModel } from "./training-model";

/** Samples and scores one generation batch. `position` is that of its first prompt in the data order. */
export async function collect(
  model: TrainingModel,
  prompts: readonly EncodedPrompt[],
  position: number,
  trainerState: TrainerState,
  settings: RolloutSettings & { readonly scaleRewards?: RewardScale },
): Promise<ScoredRollout> {
  const { numGenerations: G, rewards: functions, rewardWeights, onRewardError, rewardTimeoutMs, signal } = settings;
  const logged = new LoggedMetrics();
  const completions = await settings.rolloutFunction({
    model,
    prompts: prompts.map((prompt) => prompt.tokens),
    rows: prompts,
    n: G,
    maxNewTokens: settings.maxCompletionLength,
    temperature: settings.temperature,
    ...settings.sampling,
    stop: settings.stop,
    seed: samplingKey(settings.seed),
    streams: Uint32Array.from({ length: prompts.length * G }, (_, i) => position * G + i),
    trainerState,
    onRewardError,
    signal,
    logMetric: (name, value) => logged.log(name, value),
  });
  requireCompletions(completions, prompts.length * G, model.decoder.config.vocabSize);
  const rollout = buildRollout(completions, settings.maskTruncatedCompletions);
  const asked = completions.map((completion) => prompts[completion.promptIndex] as EncodedPrompt);
  const names = new Set(prompts.flatMap((prompt) => Object.keys(prompt.columns)));
  const turns = completions.map((completion, s) => {
    const { prompt } = asked[s] as EncodedPrompt;
    return completion.turns ?? { prompt, completion: asTurns(prompt, completion.text) };
  });
  const isFromEnvironment = completions.some(({ reward }) => reward !== undefined);
  const scored = await scoreCompletions(
    {
      prompts: turns.map(({ prompt }) => prompt),
      completions: turns.map(({ completion }) => completion),
      completionIds: completions.map(({ tokens }) => tokens),
      columns: Object.fromEntries([...names].map((name) => [name, asked.map(({ columns }) => columns[name])])),
      environmentRewards: isFromEnvironment ? completions.map(({ reward }) => reward ?? null) : undefined,
      trainerState,
    },
    { functions, weights: rewardWeights, onRewardError, timeoutMs: rewardTimeoutMs, signal },
  );
  return {
    rollout,
    rewards: scored.rewards,
    rewardsByName: new Map([...scored.byName].map(([name, values]) => [name, Float64Array.from(values, (v) => v ?? Number.NaN)])),
    stepRewards: scored.steps,
    tokenRewards: scored.tokens,
    completions: turns.map(({ prompt, completion }, s) => ({
      prompt,
      completion,
      finishReason: rollout.ends[s] as RolloutCompletion["finishReason"],
      rewards: Object.fromEntries([...scored.byName].map(([name, values]) => [name, values[s] as number | null])),
      reward: Number.isNaN(scored.rewards[s]) ? null : (scored.rewards[s] as number),
      extras: {
        ...completions[s]?.extras,
        ...Object.fromEntries(Object.entries(scored.extras).map(([column, values]) => [column, values[s]])),
      },
    })),
    metrics: { ...completionMetrics(rollout), ...rewardMetrics(scored, G, settings.scaleRewards), ...logged.means() },
  };
}

/** A rollout function of the user's own may return anything. */
function requireCompletions(completions: readonly RolloutCompletion[], count: number, vocabSize: number): void {
  const isWhole = ({ tokens, logps, mask }: RolloutCompletion) =>
    tokens.length > 0 &&
    logps.length === tokens.length &&
    (mask === undefined || mask.length === tokens.length) &&
    tokens.every((t) => t < vocabSize);
  const bad = completions.length === count ? completions.findIndex((completion) => !isWhole(completion)) : completions.length;
  if (bad < 0) return;
  throw new DataError(
    `rollout: it must be ${count} completions, each with tokens of the vocabulary and their log-probabilities, got ${completions.length} and a bad one at ${bad}. Correct rolloutFunction.`,
  );
}

/** Sampling draws from a key of its own, so that no stream of it meets those of initialisation and shuffling. */
function samplingKey(seed: number): Seed {
  const [lo, hi] = seedWords(seed);
  return [lo, (hi ^ 0x5a3d1e77) >>> 0];
}
