/**
 * Reward models: a decoder with a scalar head learns to score completions from preferences (Bradley-Terry), ranked lists (all pairs,
 * Plackett-Luce, best of N), ratings (regression) or labels (binary). Every completion is one forward pass, whatever it is compared with.
 *
 *   loss = mean over the step's examples of the loss of their scores (losses/reward-model), a score being read at the last token
 *
 * TRL's RewardTrainer has the first; InstructGPT's batch element is all_pairs on ranked lists: one prompt with all its completions.
 */
import { requireTrainingRoom } from "../checkpoint/room";
import { collate } from "../data/batch";
import type { DatasetRow } from "../data/jsonl";
import { microBatches } from "../data/micro-batches";
import { DataOrder } from "../data/order";
import { weighted } from "../losses/objective";
import { rowScores, type ScalarModel } from "../models/scalar-model";
import type { Metrics } from "../rl/metrics";
import { comparisonMetrics, labelMetrics, ratingMetrics, scoreMetrics } from "../rl/preference-metrics";
import { comparedScores, offsetsOf } from "./compared-scores";
import { stepCount } from "./feedback-options";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import { createOptimizer, OptionChecks, resolveTraining, type TrainingOptions, type TrainingSettings } from "./options";
import { concatenated } from "./pair-batches";
import {
  type RewardExample,
  type RewardLossOptions,
  type RewardLossType,
  readRewardExamples,
  rewardData,
  rewardLosses,
  rewardLossTypes,
} from "./reward-data";
import { requireScoreHead } from "./score-sequences";
import { type TrainingStep, trainingSteps } from "./training-steps";

export type { RewardLossType } from "./reward-data";

export interface RewardModelOptions extends TrainingOptions {
  /** Trained in place: `newScalarModel` makes one of a language model. */
  readonly model: ScalarModel;
  /** Preferences (optionally with `margin`), ranked lists, ratings, or labelled completions; all rows alike. */
  readonly dataset: readonly DatasetRow[];
  /**
   * Preferences: "bradley_terry" (default) or "margin_regression". Ranked lists: "all_pairs" (default), "plackett_luce" or "best_of_n".
   * Ratings: "regression". Labels: "binary".
   */
  readonly lossType?: RewardLossType | undefined;
  /** Weight of the mean of (s_chosen + s_rejected)², which holds scores round 0 (bradley_terry). Default: none; TRL recommends 0.01. */
  readonly centerRewardsCoefficient?: number | undefined;
  /** plackett_luce: only the first places count. Default: all. */
  readonly topK?: number | undefined;
  /** plackett_luce: what equal ranks mean, see `plackettLuce`. Default "omit". */
  readonly ties?: "omit" | "average" | undefined;
  /** Longest prompt with completion, in tokens; rows with a longer one are dropped. Default 1024, or the context where that is shorter. */
  readonly maxLength?: number | undefined;
}

/** One optimiser step; metrics under TRL's names, see docs/algorithms/reward-model.md. */
export type RewardStep = TrainingStep;

interface RewardSettings extends TrainingSettings {
  readonly lossType: RewardLossType;
  readonly loss: RewardLossOptions;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* reward(options: RewardModelOptions): AsyncGenerator<RewardStep, void, undefined> {
  const { model } = options;
  const { trainable: parameters } = model.decoder;
  const { settings, examples, maxSteps } = prepare(options);
  const order = new DataOrder(examples.length, settings.seed, settings.shuffleDataset);
  const optimizer = createOptimizer(parameters, settings);
  try {
    yield* trainingSteps({
      algorithm: "reward",
      settings,
      maxSteps,
      models: { model: { parameters, optimizer } },
      resume: options.resume,
      async take(step, learningRate) {
        const taken = order.slice(step * settings.rowsPerStep, settings.rowsPerStep).map((i) => examples[i] as RewardExample);
        const update = await updateOn(taken, model, settings, { optimizer, learningRate });
        return { ...update, epoch: ((step + 1) * settings.rowsPerStep) / examples.length };
      },
    });
  } finally {
    optimizer.dispose();
  }
}

/** One optimiser step on some examples, in as many micro-batches as the settings ask for. */
async function updateOn(examples: readonly RewardExample[], model: ScalarModel, settings: RewardSettings, updating: Updating) {
  const { decoder } = model;
  const lengths = examples.map(({ sequences }) => sequences.reduce((sum, { tokens }) => sum + tokens.length, 0));
  const lossOf = rewardLosses[settings.lossType];
  const { outcome, reports } = await optimiserStep(
    decoder.device,
    [updating],
    microBatches(lengths, settings.microBatchRows, settings.microBatchTokens).map((rows) => {
      const taken = rows.map((row) => examples[row] as RewardExample);
      const offsets = offsetsOf(taken.map(({ sequences }) => sequences.length));
      const batch = collate(
        taken.flatMap(({ sequences }) => sequences),
        decoder.config.vocabSize,
      );
      return {
        reads: { loss: 1, scores: offsets.at(-1) as number },
        forward(tape, report) {
          const scores = rowScores(tape, model, batch); // (S)
          const losses = lossOf(tape, scores, taken, offsets, settings.loss); // (E)
          report.sum("loss", losses);
          report.copy("scores", scores);
          return weighted(tape, losses, 1 / examples.length);
        },
      };
    }),
    settings,
  );
  return {
    skipped: outcome.skipped,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    metrics: {
      loss: total(reports, "loss") / examples.length,
      grad_norm: outcome.gradNorm,
      ...judgedMetrics(examples, concatenated(reports, "scores"), settings.lossType),
    },
  };
}

/** How scores, laid end to end, agree with what the examples say. */
export function judgedMetrics(examples: readonly RewardExample[], scores: readonly number[], lossType: RewardLossType): Metrics {
  const metrics = scoreMetrics(scores);
  const targets = examples.map(({ target }) => target);
  if (lossType === "regression") return { ...metrics, ...ratingMetrics(scores, targets) };
  if (lossType === "binary") return { ...metrics, ...labelMetrics(scores, targets) };
  const { better, worse } = comparedScores(examples, scores);
  return { ...metrics, ...comparisonMetrics(better, worse) };
}

/** Checks the options, all at once, and then the dataset, row by row. */
function prepare(options: RewardModelOptions): { settings: RewardSettings; examples: readonly RewardExample[]; maxSteps: number } {
  const { tokenizer, decoder } = options.model;
  const { maxPositions, vocabSize } = decoder.config;
  const data = rewardData(options.dataset);
  const checks = new OptionChecks();
  requireScoreHead(decoder, checks);
  const training = resolveTraining(options, { learningRate: 1e-4 }, checks);
  const maxLength = checks.count("maxLength", options.maxLength ?? Math.min(1024, maxPositions), 2);
  checks.check("maxLength", maxLength, maxLength <= maxPositions, `at most the model's context of ${maxPositions} tokens`);
  const lossType = checks.choice<RewardLossType>("lossType", options.lossType ?? rewardLossTypes[data][0], rewardLossTypes[data]);
  const { centerRewardsCoefficient, topK } = options;
  if (centerRewardsCoefficient !== undefined) {
    checks.number("centerRewardsCoefficient", centerRewardsCoefficient, 0);
    checks.check("centerRewardsCoefficient", centerRewardsCoefficient, lossType === "bradley_terry", "given for bradley_terry only");
  }
  if (topK !== undefined) checks.count("topK", topK);
  const ties = checks.choice("ties", options.ties ?? "omit", ["omit", "average"]);
  checks.throwIfAny("reward");
  requireTrainingRoom(decoder, 3);

  const { examples } = readRewardExamples(options.dataset, data, { tokenizer, maxLength, vocabSize });
  return {
    settings: { ...training, lossType, loss: { centerRewardsCoefficient, topK, ties } },
    examples,
    maxSteps: stepCount(training, examples.length),
  };
}
