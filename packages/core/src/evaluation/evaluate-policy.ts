/** What a policy earns on held-out prompts, how far it is from a reference, and how it writes: means over prompts with intervals. */
import { hostMath } from "@trimtab/kernels";
import { gatherRows, rowIndex } from "../autograd/gather";
import { vocabPair } from "../autograd/vocab-pair";
import type { Turns } from "../data/formats";
import type { DatasetRow } from "../data/jsonl";
import { requireVocabulary, tokenizePrompts } from "../data/tokenize";
import { generate } from "../generate/generate";
import type { Decoder } from "../models/decoder";
import type { SignalLike } from "../rl/abort";
import type { RewardFunction } from "../rl/rewards";
import { buildRollout, type Rollout } from "../rl/rollout";
import type { RolloutFunction } from "../rl/rollout-function";
import { type BootstrapOptions, distinctN, type PairedDifference, pairedBootstrap } from "../rl/statistics";
import { sampleAndScore } from "../trainers/collect";
import { OptionChecks } from "../trainers/options";
import { checkReference } from "../trainers/reference-model";
import { perToken, rolloutLogps } from "../trainers/rollout-batches";
import type { TrainingModel } from "../trainers/training-model";
import { bootstrapMean, type Interval } from "./intervals";
import { passAtK } from "./pass-at-k";

export interface EvaluateOptions {
  readonly model: TrainingModel;
  readonly prompts: readonly DatasetRow[];
  readonly rewards?: RewardFunction | readonly RewardFunction[] | undefined;
  readonly rewardWeights?: readonly number[] | undefined;
  /** For the KL: a model of the same vocabulary on the same device. */
  readonly reference?: { readonly decoder: Decoder } | undefined;
  /** Completions per prompt. Default 1. */
  readonly numGenerations?: number | undefined;
  /** k of pass@k, each at most numGenerations. Default none. */
  readonly passK?: readonly number[] | undefined;
  /** Least reward of a right completion. Default 0.5. */
  readonly passThreshold?: number | undefined;
  /** Default 64, or half of the model's context where that is shorter. */
  readonly maxCompletionLength?: number | undefined;
  /** Above 0. Default 1. */
  readonly temperature?: number | undefined;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly minP?: number | undefined;
  readonly repetitionPenalty?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  readonly onRewardError?: "throw" | "skip" | undefined;
  readonly rewardTimeoutMs?: number | undefined;
  /** Default `generate`; an `environmentRollout` evaluates in an environment. */
  readonly rolloutFunction?: RolloutFunction | undefined;
  /** Of sampling and of the bootstrap. Default 0. */
  readonly seed?: number | undefined;
  readonly bootstrap?: Omit<BootstrapOptions, "seed"> | undefined;
  /** Completions per forward pass of the KL. Default 8. */
  readonly perDeviceBatchSize?: number | undefined;
  readonly signal?: SignalLike | undefined;
}

/** Divergence from the reference in nats per completion, over the policy's own completions. */
export interface SampledKl {
  /** Σ log π - log π_ref: unbiased, and may be negative. */
  readonly k1: Interval;
  /** Σ of k3 = exp(-a) - 1 + a: at least 0, of less variance. */
  readonly k3: Interval;
  /** Σ over the sampled positions of the exact KL(π || π_ref) of the next token. */
  readonly exact: Interval;
}

/** One prompt's completions. */
export interface EvaluatedPrompt {
  readonly prompt: Turns;
  readonly completions: readonly Turns[];
  /** Weighted sums, null where no reward applies. */
  readonly rewards: readonly (number | null)[];
}

export interface PolicyEvaluation {
  readonly completions: number;
  /** Over prompts with a reward; undefined where there is none. */
  readonly reward: Interval | undefined;
  readonly rewardsByName: Readonly<Record<string, Interval>>;
  readonly kl: SampledKl | undefined;
  /** By k. A completion is right where its reward reaches passThreshold; prompts with an unscored completion are left out. */
  readonly passAtK: Readonly<Record<number, Interval>>;
  /** Tokens per completion. */
  readonly length: Interval;
  /** Share of completions cut short. */
  readonly clippedRatio: number;
  /** Distinct n-grams of the completions' own tokens, divided by all. */
  readonly distinct: { readonly 1: number; readonly 2: number };
  /** In the order of the dataset. */
  readonly prompts: readonly EvaluatedPrompt[];
}

/** Samples, scores and measures. Throws ConfigError for bad options, DataError for a bad prompt, RewardError from rewards. */
export async function evaluatePolicy(options: EvaluateOptions): Promise<PolicyEvaluation> {
  const { model, reference, passK = [], passThreshold = 0.5, seed = 0, perDeviceBatchSize = 8, rewards = [] } = options;
  const { maxPositions, vocabSize } = model.decoder.config;
  const checks = new OptionChecks();
  const G = checks.count("numGenerations", options.numGenerations ?? 1);
  const temperature = checks.number("temperature", options.temperature ?? 1, 0, undefined, true);
  const maxCompletionLength = checks.count(
    "maxCompletionLength",
    options.maxCompletionLength ?? Math.min(64, Math.floor(maxPositions / 2)),
  );
  const hasRoom = maxCompletionLength < maxPositions;
  checks.check("maxCompletionLength", maxCompletionLength, hasRoom, `below the model's context of ${maxPositions} tokens`);
  const isPossible = passK.every((k) => Number.isInteger(k) && k >= 1 && k <= G);
  checks.check("passK", passK, isPossible, `whole numbers from 1 to numGenerations (${G})`);
  checks.count("perDeviceBatchSize", perDeviceBatchSize);
  if (reference) checkReference(reference, model.decoder, checks);
  checks.throwIfAny("evaluatePolicy");
  const prompts = tokenizePrompts(options.prompts, model.tokenizer, maxPositions - maxCompletionLength);
  requireVocabulary(prompts, vocabSize);
  const { completions, turns, scored } = await sampleAndScore(
    model,
    prompts,
    0,
    { globalStep: 0, maxSteps: 0, epoch: 0 },
    {
      numGenerations: G,
      rewards: typeof rewards === "function" ? [rewards] : rewards,
      rewardWeights: options.rewardWeights,
      onRewardError: options.onRewardError ?? "throw",
      rewardTimeoutMs: options.rewardTimeoutMs,
      signal: options.signal,
      rolloutFunction: options.rolloutFunction ?? generate,
      maxCompletionLength,
      temperature,
      sampling: {
        topK: options.topK ?? 0,
        topP: options.topP ?? 1,
        minP: options.minP ?? 0,
        repetitionPenalty: options.repetitionPenalty ?? 1,
      },
      stop: options.stop ?? [],
      seed,
    },
  );
  const bootstrap = { ...options.bootstrap, seed };
  /** The mean over prompts of their completions' means, null and NaN left out. */
  const overPrompts = (values: ArrayLike<number | null>): Interval | undefined => {
    const means = prompts.flatMap((_, p) => {
      const own = Array.from({ length: G }, (_, g) => values[p * G + g] ?? Number.NaN).filter((value) => !Number.isNaN(value));
      return own.length > 0 ? [own.reduce((a, b) => a + b, 0) / own.length] : [];
    });
    return means.length > 0 ? bootstrapMean(means, bootstrap) : undefined;
  };
  const totals = Array.from(scored.rewards, (reward) => (Number.isNaN(reward) ? null : reward));
  const groups = prompts.map((_, p) => totals.slice(p * G, (p + 1) * G));
  const right = groups
    .filter((group) => group.every((reward) => reward !== null))
    .map((group) => group.filter((reward) => (reward as number) >= passThreshold).length);
  const rollout = buildRollout(completions, false);
  const kl =
    reference &&
    (await klTo(reference.decoder, model.decoder, rollout, {
      temperature,
      microBatchRows: perDeviceBatchSize,
      microBatchTokens: Number.POSITIVE_INFINITY,
    }));
  const own = completions.map(({ tokens, mask }) => tokens.filter((_, t) => mask?.[t] !== 0));
  const present = (values: ArrayLike<number>) => overPrompts(values) as Interval;
  return {
    completions: completions.length,
    reward: overPrompts(totals),
    rewardsByName: Object.fromEntries(
      [...scored.byName].flatMap(([name, values]) => {
        const interval = overPrompts(values);
        return interval ? [[name, interval]] : [];
      }),
    ),
    kl: kl && { k1: present(kl.k1), k3: present(kl.k3), exact: present(kl.exact) },
    passAtK:
      right.length > 0
        ? Object.fromEntries(
            passK.map((k) => [
              k,
              bootstrapMean(
                right.map((c) => passAtK(G, c, k)),
                bootstrap,
              ),
            ]),
          )
        : {},
    length: present(completions.map(({ tokens }) => tokens.length)),
    clippedRatio: completions.filter(({ finishReason }) => finishReason === "length").length / completions.length,
    distinct: { 1: distinctN(own, 1), 2: distinctN(own, 2) },
    prompts: prompts.map((_, p) => ({
      prompt: (turns[p * G] as (typeof turns)[number]).prompt,
      completions: turns.slice(p * G, (p + 1) * G).map(({ completion }) => completion),
      rewards: groups[p] as (number | null)[],
    })),
  };
}

/**
 * Mean reward of `after` minus that of `before` on the same prompts, with an interval of the paired differences. Prompts that one of them has no
 * reward for are left out. Throws ArgumentError where fewer than two are left.
 */
export function compareEvaluations(before: PolicyEvaluation, after: PolicyEvaluation, options: BootstrapOptions = {}): PairedDifference {
  const meanOf = ({ rewards }: EvaluatedPrompt) => {
    const given = rewards.filter((reward) => reward !== null);
    return given.reduce((a, b) => a + b, 0) / given.length;
  };
  const pairs = before.prompts
    .map((prompt, p) => [meanOf(prompt), after.prompts[p] ? meanOf(after.prompts[p]) : Number.NaN] as const)
    .filter((pair) => !pair.some(Number.isNaN));
  return pairedBootstrap(
    pairs.map(([first]) => first),
    pairs.map(([, second]) => second),
    options,
  );
}

/** Sums over each completion's counting tokens. (S) each */
async function klTo(
  reference: Decoder,
  policy: Decoder,
  rollout: Rollout,
  settings: { readonly temperature: number; readonly microBatchRows: number; readonly microBatchTokens: number },
): Promise<Record<"k1" | "k3" | "exact", Float64Array>> {
  const [logps, refLogps] = [await rolloutLogps(policy, rollout, settings), await rolloutLogps(reference, rollout, settings)];
  const { temperature } = settings;
  const { exact } = await perToken(policy, rollout, settings, ["exact"], (tape, batch) => {
    const predictors = rowIndex(tape, batch.predictors);
    const side = (decoder: Decoder) => ({
      hidden: gatherRows(tape, decoder.forward(tape, batch), predictors),
      head: decoder.head,
      temperature,
    });
    return { exact: vocabPair(tape, { learning: side(policy), fixed: side(reference), beta: 1 }) };
  });
  const sums = {
    k1: new Float64Array(rollout.ends.length),
    k3: new Float64Array(rollout.ends.length),
    exact: new Float64Array(rollout.ends.length),
  };
  rollout.ends.forEach((_, s) => {
    for (let n = rollout.offsets[s] as number; n < (rollout.offsets[s + 1] as number); n++) {
      if (!rollout.mask[n]) continue;
      const a = (logps[n] as number) - (refLogps[n] as number);
      sums.k1[s] = (sums.k1[s] as number) + a;
      sums.k3[s] = (sums.k3[s] as number) + hostMath.expm1(-a) + a;
      sums.exact[s] = (sums.exact[s] as number) + (exact[n] as number);
    }
  });
  return sums;
}
