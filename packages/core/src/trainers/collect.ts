/** The first half of every on-policy round: sample completions of some prompts and have them scored. */
import { type RewardScale, type Seed, seedWords } from "@trimtab/kernels";
import type { Turns } from "../data/formats";
import { asTurns, type EncodedPrompt } from "../data/tokenize";
import { DataError } from "../errors";
import { inPhase } from "../profile/profiled-device";
import { LoggedMetrics } from "../rl/logged-metrics";
import { completionMetrics, rewardMetrics } from "../rl/metrics";
import { joinScores, rewardName, type ScoredBatch, scoreCompletions, type TrainerState } from "../rl/rewards";
import { buildRollout } from "../rl/rollout";
import type { RolloutCompletion } from "../rl/rollout-function";
import type { ScoredRollout } from "../rl/scored-rollout";
import type { RolloutSettings } from "./rollout-options";
import type { TrainingModel } from "./training-model";

/** Completions of some prompts and what they earned. */
export interface Sample {
  readonly completions: readonly RolloutCompletion[];
  /** Each prompt and completion as reward functions see them. */
  readonly turns: readonly { readonly prompt: Turns; readonly completion: Turns }[];
  readonly scored: ScoredBatch;
}

/** Samples and scores one generation batch. `position` is that of its first prompt in the data order. */
export async function collect(
  model: TrainingModel,
  prompts: readonly EncodedPrompt[],
  position: number,
  trainerState: TrainerState,
  settings: RolloutSettings & { readonly scaleRewards?: RewardScale },
): Promise<ScoredRollout> {
  return assemble([await sampleAndScore(model, prompts, position, trainerState, settings)], settings);
}

/** What sampling and scoring need of a trainer's settings. */
export type SamplingSettings = Pick<
  RolloutSettings,
  | "numGenerations"
  | "rewards"
  | "rewardWeights"
  | "onRewardError"
  | "rewardTimeoutMs"
  | "signal"
  | "rolloutFunction"
  | "maxCompletionLength"
  | "temperature"
  | "sampling"
  | "stop"
  | "seed"
>;

/** The completions of one call of the rollout function and their scores. */
export async function sampleAndScore(
  model: TrainingModel,
  prompts: readonly EncodedPrompt[],
  position: number,
  trainerState: TrainerState,
  settings: SamplingSettings,
): Promise<Sample> {
  const { numGenerations: G, rewards: functions, rewardWeights, onRewardError, rewardTimeoutMs, signal } = settings;
  const logged = new LoggedMetrics();
  const { device } = model.decoder;
  const completions = await inPhase(device, "rollout", () =>
    settings.rolloutFunction({
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
    }),
  );
  requireCompletions(completions, prompts.length * G, model.decoder.config.vocabSize);
  const asked = completions.map((completion) => prompts[completion.promptIndex] as EncodedPrompt);
  const names = new Set(prompts.flatMap((prompt) => Object.keys(prompt.columns)));
  const turns = completions.map((completion, s) => {
    const { prompt } = asked[s] as EncodedPrompt;
    return completion.turns ?? { prompt, completion: asTurns(prompt, completion.text) };
  });
  const isFromEnvironment = completions.some(({ reward }) => reward !== undefined);
  const scored = await inPhase(device, "reward", () =>
    scoreCompletions(
      {
        prompts: turns.map(({ prompt }) => prompt),
        completions: turns.map(({ completion }) => completion),
        completionIds: completions.map(({ tokens }) => tokens),
        columns: Object.fromEntries([...names].map((name) => [name, asked.map(({ columns }) => columns[name])])),
        environmentRewards: isFromEnvironment ? completions.map(({ reward }) => reward ?? null) : undefined,
        trainerState,
      },
      { functions, weights: rewardWeights, onRewardError, timeoutMs: rewardTimeoutMs, signal },
    ),
  );
  return { completions, turns, scored: { ...scored, metrics: { ...scored.metrics, ...logged.means() } } };
}

/** Lays samples end to end, or of each those rows that `kept` lists. Metrics are those of everything sampled. */
export function assemble(
  samples: readonly Sample[],
  settings: RolloutSettings & { readonly scaleRewards?: RewardScale },
  kept: readonly (readonly number[])[] = samples.map(({ completions }) => completions.map((_, row) => row)),
): ScoredRollout {
  const rows = samples.flatMap((sample, i) => (kept[i] as readonly number[]).map((row) => ({ ...sample, row })));
  const { numGenerations, maskTruncatedCompletions, rewards: functions } = settings;
  const rollout = buildRollout(
    rows.map(({ completions, row }) => completions[row] as RolloutCompletion),
    maskTruncatedCompletions,
  );
  const names = functions.map(rewardName);
  const rewardsOf = ({ scored, row }: (typeof rows)[number]) =>
    names.map((name) => [name, (scored.byName.get(name) as readonly (number | null)[])[row] as number | null] as const);
  const everything = samples.length === 1 ? undefined : samples.flatMap(({ completions }) => completions);
  return {
    rollout,
    rewards: Float64Array.from(rows, ({ scored, row }) => scored.rewards[row] as number),
    rewardsByName: new Map(names.map((name, k) => [name, Float64Array.from(rows, (row) => rewardsOf(row)[k]?.[1] ?? Number.NaN)] as const)),
    stepRewards: rows.map(({ scored, row }) => scored.steps[row]),
    tokenRewards: rows.map(({ scored, row }) => scored.tokens[row]),
    completions: rows.map((place) => {
      const { turns, completions, scored, row } = place;
      const { finishReason, extras } = completions[row] as RolloutCompletion;
      const reward = scored.rewards[row] as number;
      return {
        ...(turns[row] as Sample["turns"][number]),
        finishReason,
        rewards: Object.fromEntries(rewardsOf(place)),
        reward: Number.isNaN(reward) ? null : reward,
        extras: { ...extras, ...Object.fromEntries(Object.entries(scored.extras).map(([column, values]) => [column, values[row]])) },
      };
    }),
    sampledTokens: samples.flatMap(({ completions }) => completions).reduce((sum, c) => sum + c.promptTokens.length + c.tokens.length, 0),
    metrics: {
      ...completionMetrics(everything ? buildRollout(everything, false) : rollout),
      ...rewardMetrics(joinScores(samples.map(({ scored }) => scored)), numGenerations, settings.scaleRewards),
    },
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
