/** What a reward model can learn from: which data each loss type reads, and the loss of its scores. */
import { gather } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import type { Sequence } from "../data/batch";
import { type DatasetFormat, detectFormat } from "../data/detect-format";
import type { DatasetRow } from "../data/jsonl";
import { requireVocabulary } from "../data/tokenize";
import {
  type TokenizeFeedbackOptions,
  tokenizePreferences,
  tokenizeRanked,
  tokenizeRated,
  tokenizeUnpaired,
} from "../data/tokenize-feedback";
import { DataError } from "../errors";
import { bradleyTerryLoss } from "../losses/reward-model/bradley-terry";
import { allPairs, bestOfN, type Choice, type PlackettLuceOptions, plackettLuce } from "../losses/reward-model/choices";
import { binaryLoss, ratingDifferenceLoss, ratingLoss } from "../losses/reward-model/pointwise";
import { rankingLoss } from "../losses/reward-model/ranking";
import type { Tensor } from "../tensor/tensor";
import type { Tokenizer } from "../tokenizer/tokenizer";

/** Completions of one prompt that are judged together, each a sequence with its prompt. */
export interface RewardExample {
  /** The row, from 1. */
  readonly line: number;
  /** (K) */
  readonly sequences: readonly Sequence[];
  /** Lower is better; equal ranks are ties. (K) */
  readonly ranks: readonly number[];
  /** The margin of a pair, the rating of a completion, or its label, 1 or 0; else 0. */
  readonly target: number;
}

export interface RewardLossOptions extends PlackettLuceOptions {
  /** c of c (s_chosen + s_rejected)²; undefined: 0. */
  readonly centerRewardsCoefficient: number | undefined;
}

/** The losses of some examples whose scores lie end to end: scores (S), example e has those from offsets[e] on. One value each, (E). */
type RewardLoss = (
  tape: Tape,
  scores: Tensor,
  examples: readonly RewardExample[],
  offsets: readonly number[],
  options: RewardLossOptions,
) => Tensor;

const targetsOf = (tape: Tape, examples: readonly RewardExample[]): Tensor =>
  tape.constant(Float32Array.from(examples, ({ target }) => target));

/** The chosen and rejected scores of pairs. (P) each */
function sides(tape: Tape, scores: Tensor, offsets: readonly number[]): { chosen: Tensor; rejected: Tensor } {
  const starts = Uint32Array.from(offsets.slice(0, -1));
  return {
    chosen: gather(tape, scores, starts),
    rejected: gather(
      tape,
      scores,
      starts.map((start) => start + 1),
    ),
  };
}

const ranking =
  (choose: (ranks: readonly number[], options: RewardLossOptions) => readonly Choice[]): RewardLoss =>
  (tape, scores, examples, offsets, options) =>
    rankingLoss(tape, scores, { offsets, choices: examples.map(({ ranks }) => choose(ranks, options)) });

export type RewardLossType = "bradley_terry" | "margin_regression" | "all_pairs" | "plackett_luce" | "best_of_n" | "regression" | "binary";

/** The one place where a name becomes a function. */
export const rewardLosses: Readonly<Record<RewardLossType, RewardLoss>> = {
  bradley_terry: (tape, scores, examples, offsets, options) =>
    bradleyTerryLoss(tape, { ...sides(tape, scores, offsets), margins: targetsOf(tape, examples) }, options),
  margin_regression(tape, scores, examples, offsets) {
    const { chosen, rejected } = sides(tape, scores, offsets);
    return ratingDifferenceLoss(tape, rejected, chosen, targetsOf(tape, examples));
  },
  all_pairs: ranking(allPairs),
  plackett_luce: ranking(plackettLuce),
  best_of_n: ranking(bestOfN),
  regression: (tape, scores, examples) => ratingLoss(tape, scores, targetsOf(tape, examples)),
  binary: (tape, scores, examples) => binaryLoss(tape, scores, targetsOf(tape, examples)),
};

/** The kinds of data, each with its loss types; the first is the default. */
export const rewardLossTypes = {
  pairs: ["bradley_terry", "margin_regression"],
  lists: ["all_pairs", "plackett_luce", "best_of_n"],
  ratings: ["regression"],
  labels: ["binary"],
} as const satisfies Record<string, readonly RewardLossType[]>;
type RewardData = keyof typeof rewardLossTypes;

const dataOf: Partial<Record<DatasetFormat, RewardData>> = {
  preference: "pairs",
  "implicit-preference": "pairs",
  "hh-rlhf": "pairs",
  ranked: "lists",
  rated: "ratings",
  unpaired: "labels",
};

/** Which kind of data a dataset is, by its first row. Throws DataError where a reward model cannot learn from it. */
export function rewardData(dataset: readonly DatasetRow[]): RewardData {
  const format = dataset[0] ? detectFormat(dataset[0]) : "preference";
  const data = dataOf[format];
  if (data) return data;
  throw new DataError(
    `reward: rows must be preferences, ranked lists, ratings or labelled completions, got ${format}. Convert them (trimtab convert), or use \`prm\` for steps.`,
    { line: 1 },
  );
}

export interface RewardReadOptions {
  readonly tokenizer: Tokenizer;
  readonly maxLength: number;
  readonly vocabSize: number;
}

export interface RewardDataset {
  readonly examples: readonly RewardExample[];
  /** Rows left out. */
  readonly dropped: number;
}

/** Reads a dataset. A row with a completion longer than `maxLength` is dropped whole: a score in the middle of an answer is another's. */
export function readRewardExamples(dataset: readonly DatasetRow[], data: RewardData, options: RewardReadOptions): RewardDataset {
  const examples = readers[data](dataset, { ...options, truncationMode: "drop" });
  requireVocabulary(
    examples.flatMap(({ sequences, line }) => sequences.map(({ tokens }) => ({ tokens, line }))),
    options.vocabSize,
  );
  return { examples, dropped: dataset.length - examples.length };
}

type Reader = (dataset: readonly DatasetRow[], options: TokenizeFeedbackOptions) => RewardExample[];

const readers: Readonly<Record<RewardData, Reader>> = {
  pairs: (dataset, options) =>
    tokenizePreferences(dataset, options).examples.map(({ line, chosen, rejected, margin }) => ({
      line,
      sequences: [chosen, rejected],
      ranks: [0, 1],
      target: margin ?? 0,
    })),
  /** Lists that are all tied say nothing and are left out. */
  lists(dataset, options) {
    const { examples } = tokenizeRanked(dataset, options);
    const ordered = examples.filter(({ ranks }) => new Set(ranks).size > 1);
    if (ordered.length > 0) return ordered.map((list) => ({ ...list, target: 0 }));
    throw new DataError("reward: at least one list must have two different ranks, got only ties. Rank some completions apart.");
  },
  ratings: (dataset, options) =>
    tokenizeRated(dataset, options).examples.map(({ line, sequence, rating }) => ({
      line,
      sequences: [sequence],
      ranks: [0],
      target: rating,
    })),
  labels: (dataset, options) =>
    tokenizeUnpaired(dataset, options).examples.map(({ line, sequence, label }) => ({
      line,
      sequences: [sequence],
      ranks: [0],
      target: label ? 1 : 0,
    })),
};
