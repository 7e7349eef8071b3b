/** From samples to a reward model: pairs of completions, the judge's comparisons, Bradley-Terry, and a scale for its scores. */
import {
  countReasons,
  evaluatePolicy,
  evaluateRewardModel,
  fitNormalization,
  type LanguageModel,
  newScalarModel,
  type RewardFunction,
  type RewardModelEvaluation,
  reward,
  rewardModelFunction,
  type ScalarModel,
  sampleCompletions,
  startProgress,
} from "@trimtab/node";
import { type Comparison, compare } from "./judge";
import type { RlhfSettings } from "./rlhf-settings";
import { openings, type Speech } from "./speeches";

/** Samples completions of training prompts at several temperatures and has pairs of them judged, in the order of the prompts. */
export async function collectComparisons(
  model: LanguageModel,
  speeches: readonly Speech[],
  settings: RlhfSettings,
  seed: number,
): Promise<Comparison[]> {
  const perPrompt = settings.samplesPerTemperature * settings.sampleTemperatures.length;
  const pairsPerPrompt = (perPrompt * (perPrompt - 1)) / 2;
  // Equal completions are dropped; a few prompts more make up for them.
  const prompts = openings(speeches, Math.ceil((1.05 * settings.comparisons) / pairsPerPrompt) + 2, 8, seed);
  const { rows, dropped } = await sampleCompletions({
    model,
    rows: prompts.map((prompt) => ({ prompt })),
    temperatures: settings.sampleTemperatures,
    numGenerations: settings.samplesPerTemperature,
    maxCompletionLength: settings.completionLength,
    format: "pairs",
    seed,
  });
  for (const [reason, count] of countReasons(dropped)) console.log(`Left out ${count} times: ${reason}.`);
  return compare(rows.slice(0, settings.comparisons), { noise: settings.judgeNoise, seed });
}

/** The last prompts' comparisons are held out: no prompt is on both sides. */
export function splitByPrompt(comparisons: readonly Comparison[], share: number): { training: Comparison[]; heldOut: Comparison[] } {
  const groups = [...new Set(comparisons.map(({ group }) => group))];
  const unseen = new Set(groups.slice(Math.floor(groups.length * (1 - share))));
  return {
    training: comparisons.filter(({ group }) => !unseen.has(group)),
    heldOut: comparisons.filter(({ group }) => unseen.has(group)),
  };
}

export interface TrainedReward {
  readonly model: ScalarModel;
  /** On comparisons of prompts it never saw. */
  readonly evaluation: RewardModelEvaluation;
  /** Its scores with mean 0 and standard deviation 1 over samples of the base model. */
  readonly proxy: RewardFunction;
}

/** Trains a reward model that starts from the base. The caller disposes of its decoder. */
export async function trainReward(
  base: LanguageModel,
  { training, heldOut }: ReturnType<typeof splitByPrompt>,
  speeches: readonly Speech[],
  settings: RlhfSettings,
  seed: number,
): Promise<TrainedReward> {
  const model = newScalarModel(base, seed);
  const steps = Math.ceil((training.length * settings.rewardEpochs) / settings.rewardPairs);
  const progress = startProgress({ label: "Reward model", total: steps });
  const learning = reward({
    model,
    dataset: training.map(({ row }) => row),
    perDeviceTrainBatchSize: settings.rewardPairs,
    numTrainEpochs: settings.rewardEpochs,
    learningRate: settings.rewardLearningRate,
    lrSchedulerType: "cosine",
    warmupRatio: 0.05,
    weightDecay: 0.1,
    centerRewardsCoefficient: 0.01,
    seed,
  });
  for await (const { step, metrics } of learning) {
    progress.update(step, `loss ${metrics.loss?.toFixed(3)}  accuracy ${metrics.accuracy?.toFixed(2)}`);
  }
  progress.stop();
  const evaluation = await evaluateRewardModel({ model, dataset: heldOut.map(({ row }) => row), binCount: 5 });

  const { prompts } = await evaluatePolicy({
    model: base,
    prompts: openings(speeches, settings.normalisationSamples, 8, seed + 2).map((prompt) => ({ prompt })),
    rewards: rewardModelFunction(model),
    maxCompletionLength: settings.completionLength,
    temperature: settings.temperature,
    seed: seed + 2,
  });
  const normalization = fitNormalization(prompts.map(({ rewards }) => rewards[0] as number));
  return { model, evaluation, proxy: rewardModelFunction(model, { name: "proxy", normalization }) };
}
