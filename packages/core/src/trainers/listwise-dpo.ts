/**
 * DPO on ranked lists (Rafailov et al. 2023, appendix A.3): the Plackett-Luce likelihood of the ranking under rewards β log (π / π_ref).
 *
 *   loss = mean over the step's lists of -Σ_k log(e^βx_k / Σ_{j≥k} e^βx_j),   x = log π(y) - log π_ref(y), best first
 *
 * With two completions it is DPO. Not in TRL. A list whose completions all tie says nothing and is left out.
 */
import { segmentSum } from "../autograd/segment";
import type { Tape } from "../autograd/tape";
import { requireTrainingRoom } from "../checkpoint/room";
import { type Batch, collate } from "../data/batch";
import type { DatasetRow } from "../data/jsonl";
import { microBatches } from "../data/micro-batches";
import { DataOrder } from "../data/order";
import { requireVocabulary } from "../data/tokenize";
import { type TokenizedRanked, tokenizeRanked } from "../data/tokenize-feedback";
import type { TruncationMode } from "../data/truncation";
import { DataError } from "../errors";
import { weighted } from "../losses/objective";
import { listwiseDpoLoss } from "../losses/preference/listwise-dpo";
import { type Choice, type PlackettLuceOptions, plackettLuce } from "../losses/reward-model/choices";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import { pairMetrics } from "../rl/preference-metrics";
import type { Tensor } from "../tensor/tensor";
import { frozenPass } from "./frozen-pass";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import { createOptimizer, OptionChecks, resolveTraining, type TrainingOptions, type TrainingSettings } from "./options";
import { openMovingReference, type ReferenceOptions, type ReferenceSettings, resolveReference } from "./reference-model";
import type { TrainingModel } from "./training-model";
import { type TrainingStep, trainingSteps } from "./training-steps";

/** Batch sizes count lists. */
export interface ListwiseDpoOptions extends TrainingOptions, ReferenceOptions, PlackettLuceOptions {
  /** Trained in place. */
  readonly model: TrainingModel;
  /** Rows with `prompt`, `completions` (K) and `ranks` (K), 1 the best. */
  readonly dataset: readonly DatasetRow[];
  /** Strength of the pull to the reference. Default 0.1. */
  readonly beta?: number | undefined;
  /** Longest prompt with completion, in tokens. Default 1024, or the model's context where that is shorter. */
  readonly maxLength?: number | undefined;
  /** Which end of a longer one stays. Default "keep_start". */
  readonly truncationMode?: TruncationMode | undefined;
}

/**
 * One optimiser step; metrics loss, grad_norm, and TRL's `rewards/*` and `logps/*` over every pair of completions of different rank, the better
 * one as chosen.
 */
export type ListwiseDpoStep = TrainingStep;

interface RankedList extends Pick<TokenizedRanked, "sequences" | "ranks"> {
  readonly choices: readonly Choice[];
}

interface ListwiseDpoSettings extends TrainingSettings {
  readonly beta: number;
  readonly reference: ReferenceSettings;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work. */
export async function* listwiseDpo(options: ListwiseDpoOptions): AsyncGenerator<ListwiseDpoStep, void, undefined> {
  const { decoder } = options.model;
  const { settings, lists, maxSteps } = prepare(options);
  const order = new DataOrder(lists.length, settings.seed, settings.shuffleDataset);
  const optimizer = createOptimizer(decoder.trainable, settings);
  const reference = openMovingReference(settings.reference, decoder);
  try {
    yield* trainingSteps({
      algorithm: "listwise-dpo",
      settings,
      maxSteps,
      models: { model: { parameters: decoder.trainable, optimizer }, others: reference.others },
      resume: options.resume,
      async take(step, learningRate) {
        const taken = order.slice(step * settings.rowsPerStep, settings.rowsPerStep).map((i) => lists[i] as RankedList);
        const update = await updateOn(taken, decoder, reference.decoder as Decoder, settings, { optimizer, learningRate });
        reference.follow(step + 1);
        return { ...update, epoch: ((step + 1) * settings.rowsPerStep) / lists.length };
      },
    });
  } finally {
    reference.dispose();
    optimizer.dispose();
  }
}

/** One optimiser step on some lists, in as many micro-batches as the settings ask for. */
async function updateOn(
  lists: readonly RankedList[],
  decoder: Decoder,
  reference: Decoder,
  settings: ListwiseDpoSettings,
  updating: Updating,
) {
  const lengths = lists.map(({ sequences }) => sequences.reduce((sum, { tokens }) => sum + tokens.length, 0));
  const pieces = microBatches(lengths, settings.microBatchRows, settings.microBatchTokens).map((indices) =>
    indices.map((i) => lists[i] as RankedList),
  );
  const { outcome, reports } = await optimiserStep<"loss" | "rewards" | "logps">(
    decoder.device,
    [updating],
    pieces.map((piece) => {
      const sequences = piece.flatMap((list) => list.sequences);
      return {
        reads: { loss: 1, rewards: sequences.length, logps: sequences.length },
        forward(tape, report) {
          const batch = collate(sequences, decoder.config.vocabSize);
          const logps = sequenceSums(tape, decoder, batch);
          const { losses, rewards } = listwiseDpoLoss(
            tape,
            {
              logps,
              refLogps: frozenPass(tape, (pass) => sequenceSums(pass, reference, batch)),
              lists: { offsets: listOffsets(piece), choices: piece.map(({ choices }) => choices) },
            },
            settings,
          );
          report.sum("loss", losses);
          report.copy("rewards", rewards);
          report.copy("logps", logps);
          return weighted(tape, losses, 1 / lists.length);
        },
      };
    }),
    settings,
  );
  const rewards = reports.flatMap((report) => [...report.rewards]);
  const logps = reports.flatMap((report) => [...report.logps]);
  const pairs = orderedPairs(lists);
  const of = (values: readonly number[], side: 0 | 1) => pairs.map((pair) => values[pair[side]] as number);
  return {
    skipped: outcome.skipped,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    metrics: {
      loss: total(reports, "loss") / lists.length,
      grad_norm: outcome.gradNorm,
      ...pairMetrics({
        chosenRewards: of(rewards, 0),
        rejectedRewards: of(rewards, 1),
        chosenLogps: of(logps, 0),
        rejectedLogps: of(logps, 1),
      }),
    },
  };
}

/** Σ log π over the completion of each sequence. (S) */
function sequenceSums(tape: Tape, model: Decoder, batch: Batch): Tensor {
  return segmentSum(tape, batchLogprobs(tape, model, batch).logp, tape.constant(batch.targetOffsets));
}

/** First completion of each list among all of them. (L + 1) */
function listOffsets(lists: readonly RankedList[]): number[] {
  const offsets = [0];
  for (const { sequences } of lists) offsets.push((offsets.at(-1) as number) + sequences.length);
  return offsets;
}

/** Every two completions of a list of which the first is better, by their place among all completions. */
function orderedPairs(lists: readonly RankedList[]): (readonly [better: number, worse: number])[] {
  const offsets = listOffsets(lists);
  return lists.flatMap(({ ranks }, l) =>
    ranks.flatMap((rank, i) =>
      ranks.flatMap((other, j) => (rank < other ? [[(offsets[l] as number) + i, (offsets[l] as number) + j] as const] : [])),
    ),
  );
}

/** Checks the options, all at once, and then the dataset, row by row. */
function prepare(options: ListwiseDpoOptions): { settings: ListwiseDpoSettings; lists: RankedList[]; maxSteps: number } {
  const { tokenizer, decoder } = options.model;
  const { maxPositions, vocabSize } = decoder.config;
  const checks = new OptionChecks();
  const training = resolveTraining(options, { learningRate: 1e-6 }, checks);
  const maxLength = checks.count("maxLength", options.maxLength ?? Math.min(1024, maxPositions), 2);
  checks.check("maxLength", maxLength, maxLength <= maxPositions, `at most the model's context of ${maxPositions} tokens`);
  const truncationMode = checks.choice("truncationMode", options.truncationMode ?? "keep_start", ["keep_start", "keep_end"]);
  const ties = checks.choice("ties", options.ties ?? "omit", ["omit", "average"]);
  const topK = options.topK === undefined ? undefined : checks.count("topK", options.topK);
  const settings = {
    ...training,
    beta: checks.number("beta", options.beta ?? 0.1, 0, undefined, true),
    reference: resolveReference(options, decoder, true, checks),
  };
  checks.throwIfAny("listwiseDpo");
  requireTrainingRoom(decoder, settings.reference.isCopied ? 4 : 3);

  const { examples } = tokenizeRanked(options.dataset, { tokenizer, maxLength, truncationMode });
  for (const { sequences, line } of examples) {
    requireVocabulary(
      sequences.map(({ tokens }) => ({ tokens, line })),
      vocabSize,
    );
  }
  const lists = examples.flatMap(({ sequences, ranks }) =>
    new Set(ranks).size > 1 ? [{ sequences, ranks, choices: plackettLuce(ranks, { topK, ties }) }] : [],
  );
  if (lists.length === 0) {
    throw new DataError("listwiseDpo: at least one list must have completions of different ranks, got none. Add rows that rank.");
  }
  return { settings, lists, maxSteps: training.maxSteps ?? Math.ceil((lists.length * training.numTrainEpochs) / training.rowsPerStep) };
}
