/** PPO against the reward model, with measurements along the way of what people would have said. */
import {
  evaluatePolicy,
  type LanguageModel,
  type MetricsLog,
  type PpoOptions,
  ppo,
  type RewardFunction,
  type ScalarModel,
  startProgress,
} from "@trimtab/node";
import type { RlhfSettings } from "./rlhf-settings";
import { sentiment } from "./sentiment";

/** A policy on the held-out prompts. */
export interface Measurement {
  readonly round: number;
  /** Exact KL of the next tokens to the base, in nats per completion. */
  readonly kl: number;
  /** Mean score of the reward model; 0 and standard deviation 1 over the base's samples. */
  readonly proxy: number;
  /** The judge's reward without noise, of each prompt's completion. */
  readonly rewards: readonly number[];
  readonly truth: number;
  readonly distinct2: number;
  readonly texts: readonly string[];
}

/** What every run has in common. */
export interface Bench {
  readonly base: LanguageModel;
  readonly rewardModel: ScalarModel;
  readonly proxy: RewardFunction;
  readonly prompts: readonly string[];
  readonly heldOut: readonly string[];
  readonly settings: RlhfSettings;
  readonly seed: number;
}

/** One completion of each held-out prompt, always with the same random numbers. */
export async function measure(policy: LanguageModel, round: number, { base, proxy, heldOut, settings, seed }: Bench): Promise<Measurement> {
  const { prompts, reward, kl, distinct } = await evaluatePolicy({
    model: policy,
    prompts: heldOut.map((prompt) => ({ prompt })),
    rewards: proxy,
    reference: base,
    maxCompletionLength: settings.completionLength,
    temperature: settings.temperature,
    perDeviceBatchSize: 32,
    seed: seed + 1,
  });
  const texts = prompts.map(({ completions }) => String(completions[0]));
  const rewards = texts.map(sentiment);
  return {
    round,
    kl: kl?.exact.mean as number,
    proxy: reward?.mean as number,
    rewards,
    truth: rewards.reduce((sum, value) => sum + value, 0) / rewards.length,
    distinct2: distinct[2],
    texts,
  };
}

/** Trains a copy of the base for `rounds`; `start` is the base's own measurement. The caller disposes of the policy. */
export async function optimise(
  label: string,
  rounds: number,
  start: Measurement,
  bench: Bench,
  control: Pick<PpoOptions, "klCoef" | "klTarget" | "klHorizon">,
  log: MetricsLog,
): Promise<{ readonly policy: LanguageModel; readonly measurements: readonly Measurement[] }> {
  const { base, rewardModel, proxy, prompts, settings, seed } = bench;
  const policy = { ...base, decoder: base.decoder.clone() };
  const measurements = [start];
  const progress = startProgress({ label, total: rounds });
  const learning = ppo({
    model: policy,
    prompts: prompts.map((prompt) => ({ prompt })),
    rewards: proxy,
    valueModel: rewardModel,
    maxSteps: rounds * settings.epochs,
    perDeviceTrainBatchSize: settings.completions,
    numPpoEpochs: settings.epochs,
    maxCompletionLength: settings.completionLength,
    temperature: settings.temperature,
    learningRate: settings.learningRate,
    valueLearningRate: settings.valueLearningRate,
    lrSchedulerType: "constant_with_warmup",
    warmupSteps: 2 * settings.epochs,
    vfCoef: 1,
    logKl: true,
    seed,
    ...control,
  });
  for await (const { step, metrics } of learning) {
    log.add({ ...metrics, step });
    if (step % settings.epochs !== 0) continue;
    const round = step / settings.epochs;
    if (round % settings.measureEvery === 0 || round === rounds) measurements.push(await measure(policy, round, bench));
    const { truth } = measurements.at(-1) as Measurement;
    progress.update(
      round,
      `proxy ${metrics.reward?.toFixed(2)}  KL ${metrics["objective/kl"]?.toFixed(1)}  true reward, held out ${truth.toFixed(2)}`,
    );
  }
  progress.stop();
  return { policy, measurements };
}
