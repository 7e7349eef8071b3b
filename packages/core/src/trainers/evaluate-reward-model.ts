/** How a reward model judges held-out data: the trainer's metrics, and for comparisons how far its confidence can be trusted. */
import { hostMath } from "@trimtab/kernels";
import type { DatasetRow } from "../data/jsonl";
import type { ScalarModel } from "../models/scalar-model";
import { type Calibration, calibration } from "../rl/calibration";
import type { Metrics } from "../rl/metrics";
import { comparedScores } from "./compared-scores";
import { OptionChecks } from "./options";
import { judgedMetrics } from "./reward";
import { readRewardExamples, rewardData, rewardLossTypes } from "./reward-data";
import { scoreSequences } from "./score-sequences";

export interface EvaluateRewardModelOptions {
  readonly model: ScalarModel;
  /** Preferences, ranked lists, ratings, or labelled completions. */
  readonly dataset: readonly DatasetRow[];
  /** Longest prompt with completion, in tokens; rows with a longer one are left out. Default 1024, or the context where that is shorter. */
  readonly maxLength?: number | undefined;
  /** Most tokens computed at once. Default 4096. */
  readonly maxTokens?: number | undefined;
  /** Reliability bins. Default 10. */
  readonly binCount?: number | undefined;
}

export interface RewardModelEvaluation {
  /** As `reward` reports them: min_reward, mean_reward, max_reward, accuracy and margin, or mae. */
  readonly metrics: Metrics;
  /** Rows left out. */
  readonly dropped: number;
  /** Of preferences and rankings: σ(score difference) of the item with the larger score, and whether it is the better one. */
  readonly calibration: Calibration | undefined;
  /** Scores of the completions that were kept, in the order of the rows. */
  readonly scores: readonly number[];
}

/** Scores the dataset without training. */
export async function evaluateRewardModel(options: EvaluateRewardModelOptions): Promise<RewardModelEvaluation> {
  const { model, dataset, maxTokens, binCount = 10 } = options;
  const { maxPositions } = model.decoder.config;
  const checks = new OptionChecks();
  const maxLength = checks.count("maxLength", options.maxLength ?? Math.min(1024, maxPositions), 2);
  checks.count("binCount", binCount);
  checks.throwIfAny("evaluateRewardModel");
  const data = rewardData(dataset);
  const { examples, dropped } = readRewardExamples(dataset, data, {
    tokenizer: model.tokenizer,
    maxLength,
    vocabSize: model.decoder.config.vocabSize,
  });
  const scores = [
    ...(await scoreSequences(
      model,
      examples.flatMap(({ sequences }) => sequences),
      maxTokens,
    )),
  ];
  const { better, worse } = comparedScores(examples, scores);
  const margins = better.map((score, i) => score - (worse[i] as number));
  const confidences = margins.map((margin) => 1 / (1 + hostMath.exp(-Math.abs(margin))));
  return {
    metrics: judgedMetrics(examples, scores, rewardLossTypes[data][0]),
    dropped,
    calibration:
      margins.length > 0
        ? calibration(
            confidences,
            margins.map((margin) => margin > 0),
            binCount,
          )
        : undefined,
    scores,
  };
}
