/**
 * Implicit Q-learning over tokens (ILQL, Snell et al. 2022): what a token is worth is learned off-policy from completions with rewards, whoever wrote
 * them, and guides the policy while it generates: π(a | s) ∝ π_β(a | s) exp(β Q̂(s, a)).
 *
 * Each step draws episodes from a replay buffer (a dataset's, and the guided policy's own where there are `rollouts`), moves the Q heads towards
 * r + γ V(s'), the V head towards an upper expectile of the target network's smaller Q, and the policy towards the data. The mathematics is in
 * losses/q-learning.ts, the heads in models/token-values.ts; generation with them is `guidedModel`.
 *
 * Left out: a target network of the trunk (the heads alone have one, as in trlX); utterance-level actions; prioritised replay.
 */
import { rowIndex } from "../autograd/gather";
import { tokenLogprob } from "../autograd/token-logprob";
import { collate } from "../data/batch";
import { microBatches } from "../data/micro-batches";
import { DataOrder } from "../data/order";
import type { EncodedPrompt } from "../data/tokenize";
import { RewardError } from "../errors";
import { weighted } from "../losses/objective";
import { qLearningLoss } from "../losses/q-learning";
import { targetHidden } from "../models/logprobs";
import { guidedModel, type TokenValues } from "../models/token-values";
import type { AdamW } from "../optim/adamw";
import { type Episode, episodeFromJSON, episodesOf, episodeToJSON } from "../rl/episode";
import type { Metrics } from "../rl/metrics";
import { ReplayBuffer } from "../rl/replay-buffer";
import type { ScoredRollout } from "../rl/scored-rollout";
import { collect } from "./collect";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import { createOptimizer, learningRates } from "./options";
import { type IlqlOptions, type IlqlSettings, resolveIlql } from "./q-learning-options";
import { mixInto } from "./reference-model";
import type { TrainingModel } from "./training-model";
import type { TrainedModels } from "./training-state";
import { type TrainingStep, trainingSteps } from "./training-steps";

export type { IlqlOptions, IlqlRollouts } from "./q-learning-options";

/** One optimiser step; metrics under trlX's names, see docs/algorithms/ilql.md. Its state holds the heads beside the model. */
export type IlqlStep = TrainingStep;

/** Streams of the buffer's draws, apart from those of shuffling and sampling. */
const REPLAY_STREAM = 0x5e1a0000;

/** Trains `model` and `values` and yields after every step. Throws ConfigError or DataError before any work, RewardError from rewards. */
export async function* ilql(options: IlqlOptions): AsyncGenerator<IlqlStep, void, undefined> {
  const settings = resolveIlql(options);
  const { model, values } = options;
  const optimizers = openOptimizers(model, values, settings);
  const valueRate = learningRates({ ...settings, learningRate: settings.valueLearningRate }, settings.totalSteps);
  const replay = new Replay(model, values, settings);

  try {
    yield* trainingSteps({
      algorithm: "ilql",
      settings,
      maxSteps: settings.totalSteps,
      models: trainedModels(model, values, optimizers),
      resume: options.resume,
      place: replay,
      async take(step, learningRate) {
        const rollout = await replay.refill(step);
        const episodes = replay.sample(step);
        const { policy, ...heads } = optimizers;
        const updating = Object.values(heads).flatMap((optimizer) => (optimizer ? [{ optimizer, learningRate: valueRate(step) }] : []));
        if (policy) updating.unshift({ optimizer: policy, learningRate });
        const { metrics, skipped } = await updateOn(episodes, model, values, settings, updating);
        if (!skipped && (step + 1) % settings.targetSyncSteps === 0) mixInto(values.target, values.q, settings.alpha);
        return {
          metrics: { ...rollout?.metrics, ...metrics, "buffer/size": replay.size },
          tokens: episodes.reduce((sum, { tokens }) => sum + tokens.length, 0),
          epoch: ((step + 1) * settings.rowsPerStep) / Math.max(1, settings.episodes.length),
          skipped,
        };
      },
    });
  } finally {
    for (const optimizer of Object.values(optimizers)) optimizer?.dispose();
  }
}

interface Optimizers {
  /** Undefined where the policy is left alone. */
  readonly policy: AdamW | undefined;
  readonly q: AdamW;
  readonly v: AdamW;
  /** Of the heads' own trunk. */
  readonly trunk: AdamW | undefined;
}

function openOptimizers({ decoder }: TrainingModel, values: TokenValues, settings: IlqlSettings): Optimizers {
  return {
    policy: settings.loss.awacScale > 0 ? createOptimizer(decoder.trainable, settings) : undefined,
    q: createOptimizer(values.q, settings),
    v: createOptimizer(values.v, settings),
    trunk: values.decoder && createOptimizer(values.decoder.trainable, settings),
  };
}

function trainedModels({ decoder }: TrainingModel, values: TokenValues, { policy, q, v, trunk }: Optimizers): TrainedModels {
  return {
    model: { parameters: decoder.trainable, optimizer: policy },
    others: {
      q: { parameters: values.q, optimizer: q },
      v: { parameters: values.v, optimizer: v },
      target: { parameters: values.target },
      ...(values.decoder ? { trunk: { parameters: values.decoder.trainable, optimizer: trunk } } : {}),
    },
  };
}

/** One optimiser step on some episodes: L_t averaged over all their actions. */
async function updateOn(
  episodes: readonly Episode[],
  { decoder }: TrainingModel,
  values: TokenValues,
  settings: IlqlSettings,
  updating: readonly Updating[],
) {
  const { loss: options, microBatchRows, microBatchTokens } = settings;
  const hasPolicy = options.awacScale > 0;
  const lengths = episodes.map(({ tokens }) => tokens.length);
  const pieces = microBatches(lengths, microBatchRows, microBatchTokens).map((indices) => {
    const taken = indices.map((i) => episodes[i] as Episode);
    return { batch: collate(taken, decoder.config.vocabSize), rewards: Float32Array.from(taken.flatMap(({ rewards }) => [...rewards])) };
  });
  const actions = pieces.reduce((sum, { rewards }) => sum + rewards.length, 0);
  const { outcome, outcomes, reports } = await optimiserStep(
    decoder.device,
    updating,
    pieces.map(({ batch, rewards }) => ({
      reads: { loss: 1, loss_q: 1, loss_v: 1, loss_cql: 1, loss_awac: 1, values: 1, target_qs: 1, entropy: 1, ...qNames(values) },
      forward(tape, report) {
        const hidden = targetHidden(tape, decoder, batch); // (M, C)
        const read = values.decoder ? targetHidden(tape, values.decoder, batch) : hasPolicy ? hidden : { ...hidden };
        const taken = rowIndex(tape, batch.targets);
        const policy = hasPolicy ? tokenLogprob(tape, hidden, decoder.head, taken.ids) : undefined;
        const { qs, logps: qLogps } = values.qsAt(tape, read, taken, options.cqlScale > 0);
        const stateValues = values.values(tape, read);
        const made = qLearningLoss(
          tape,
          {
            qs,
            targetQs: values.targetQsAt(tape, read, taken),
            values: stateValues,
            rewards: tape.constant(rewards),
            qLogps,
            logps: policy?.logp,
            offsets: batch.targetOffsets,
          },
          options,
        );
        report.sum("loss", made.losses);
        report.sum("loss_q", made.qLosses);
        report.sum("loss_v", made.valueLosses);
        if (made.cqlLosses) report.sum("loss_cql", made.cqlLosses);
        if (made.policyLosses) report.sum("loss_awac", made.policyLosses);
        report.sum("values", stateValues);
        report.sum("target_qs", made.targetQs);
        if (policy) report.sum("entropy", policy.entropy);
        qs.forEach((q, i) => {
          report.sum(qName(i), q);
        });
        return weighted(tape, made.losses, 1 / actions);
      },
    })),
    settings,
  );
  const mean = (name: keyof (typeof reports)[number]) => total(reports, name) / actions;
  const metrics: Metrics = {
    loss: mean("loss"),
    grad_norm: outcome.gradNorm,
    "losses/loss_q": mean("loss_q"),
    "losses/loss_v": mean("loss_v"),
    ...(options.cqlScale > 0 ? { "losses/loss_cql": mean("loss_cql") } : {}),
    ...(hasPolicy ? { "losses/loss_awac": mean("loss_awac"), entropy: mean("entropy") } : {}),
    "values/mean": mean("values"),
    "target_qs/mean": mean("target_qs"),
    ...Object.fromEntries(Object.keys(qNames(values)).map((name, i) => [`qvalues/${i}/mean`, mean(name as QName)])),
  };
  return { metrics, skipped: outcomes.some(({ skipped }) => skipped) };
}

type QName = `q${number}`;
const qName = (i: number): QName => `q${i}`;
const qNames = ({ shape }: TokenValues): Record<QName, number> =>
  Object.fromEntries(Array.from({ length: shape.heads }, (_, i) => [qName(i), 1]));

/** An episode of the dataset, by its row, or one of the policy's own. */
interface Remembered {
  readonly episode: Episode;
  readonly row: number | undefined;
}

/** The replay buffer of a run: the dataset's episodes, and those of rounds of rollouts. */
class Replay {
  readonly #model: TrainingModel;
  readonly #settings: IlqlSettings;
  readonly #buffer: ReplayBuffer<Remembered>;
  /** Prompts taken from the data order of the rollouts. */
  #position = 0;

  constructor(model: TrainingModel, values: TokenValues, settings: IlqlSettings) {
    this.#model = settings.rollouts ? guidedModel(model, values, settings.rollouts.beta) : model;
    this.#settings = settings;
    this.#buffer = new ReplayBuffer(settings.bufferCapacity);
    settings.episodes.forEach((episode, row) => {
      this.#buffer.add({ episode, row });
    });
  }

  get size(): number {
    return this.#buffer.size;
  }

  /** A round of rollouts where one is due at optimiser step `step` (from 0). */
  async refill(step: number): Promise<ScoredRollout | undefined> {
    const { rollouts, totalSteps } = this.#settings;
    if (!rollouts || step % rollouts.every !== 0) return undefined;
    const { settings } = rollouts;
    const order = new DataOrder(settings.prompts.length, settings.seed, true);
    const prompts = order.slice(this.#position, settings.promptsPerGeneration).map((i) => settings.prompts[i] as EncodedPrompt);
    const progress = { globalStep: step, maxSteps: totalSteps, epoch: this.#position / settings.prompts.length };
    const scored = await collect(this.#model, prompts, this.#position, progress, settings);
    this.#position += settings.promptsPerGeneration;
    for (const episode of episodesOf(scored)) this.#buffer.add({ episode, row: undefined });
    return scored;
  }

  /** The episodes of optimiser step `step`. */
  sample(step: number): Episode[] {
    const { rowsPerStep, seed } = this.#settings;
    if (this.#buffer.size === 0) {
      throw new RewardError(
        "ilql: at least one completion of the first rollout must have a reward, got none. Correct the reward function.",
      );
    }
    return this.#buffer.sample(rowsPerStep, seed, REPLAY_STREAM + step).map(({ episode }) => episode);
  }

  capture(): Record<string, unknown> {
    return { position: this.#position, buffer: this.#buffer.capture(({ episode, row }) => row ?? episodeToJSON(episode)) };
  }

  restore(json: Readonly<Record<string, unknown>>): void {
    this.#position = json.position as number;
    this.#buffer.restore(json.buffer as Record<string, unknown>, (item) =>
      typeof item === "number"
        ? { episode: this.#settings.episodes[item] as Episode, row: item }
        : { episode: episodeFromJSON(item as Record<string, unknown>), row: undefined },
    );
  }
}
