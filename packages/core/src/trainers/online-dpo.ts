/**
 * Online DPO (Guo et al. 2024): the policy's own completions, two of each prompt, are ranked by rewards or by a judge, and the pairs
 * are learned from at once.
 *
 *   loss = mean over the step's pairs of -log σ(β D),   D = log (π / π_ref)(y⁺) - log (π / π_ref)(y⁻)   ("ipo": (D - 1 / (2β))²)
 *
 * Matches TRL's OnlineDPOTrainer: of equal scores the first completion is chosen, the loss is that of the model at temperature 1.
 * Departures: a pair that cannot be ranked (a null reward or answer) or of which nothing counts is left out, where TRL would take the
 * second one as chosen. Left out: vision, vLLM.
 */
import { collate } from "../data/batch";
import { microBatches } from "../data/micro-batches";
import { weighted } from "../losses/objective";
import { dpoLoss } from "../losses/preference/dpo";
import { fDivergences } from "../losses/preference/f-divergence";
import { pairSums } from "../losses/preference/pair-logps";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import { mean } from "../rl/mean";
import type { Metrics } from "../rl/metrics";
import { pairMetrics } from "../rl/preference-metrics";
import { gatherCounting, rolloutRow, spreadRows } from "../rl/rollout";
import { type Experience, type ScoredCompletion, withAdvantages } from "../rl/scored-rollout";
import { collect } from "./collect";
import { type OnlineDpoOptions, type OnlineDpoSettings, resolveOnlineDpo } from "./online-dpo-options";
import { optimiserStep, total, type Updating } from "./optimiser-step";
import { createOptimizer } from "./options";
import { pairSides, type RankedPair, rankedPairs, scoreOf } from "./ranked-pairs";
import { openMovingReference } from "./reference-model";
import { rolloutLogps } from "./rollout-batches";
import { Rounds } from "./rounds";
import { type TrainingStep, trainingSteps } from "./training-steps";

export type { OnlineDpoLossType, OnlineDpoOptions } from "./online-dpo-options";
export type { ComparingJudge } from "./ranked-pairs";

/** One optimiser step; metrics under TRL's names, see docs/algorithms/online-dpo.md. */
export interface OnlineDpoStep extends TrainingStep {
  /** The completions this step was taken on; `advantage` is 1 for a chosen one, -1 for a rejected one, 0 in a pair left out. */
  readonly completions: readonly ScoredCompletion[];
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work, RewardError from rewards or judge. */
export async function* onlineDpo(options: OnlineDpoOptions): AsyncGenerator<OnlineDpoStep, void, undefined> {
  const settings = resolveOnlineDpo(options);
  const { model } = options;
  const { decoder } = model;
  const optimizer = createOptimizer(decoder.trainable, settings);
  const reference = openMovingReference(settings.reference, decoder);

  const rounds = new Rounds(settings, async (prompts, position, trainerState) => {
    const scored = await collect(model, prompts, position, trainerState, settings);
    const { rollout, metrics } = scored;
    const sides = spreadRows(rollout, await pairSides(scored, settings));
    return {
      rollout,
      advantages: sides,
      refLogps: await rolloutLogps(reference.decoder as Decoder, rollout, { ...settings, temperature: 1 }),
      completions: withAdvantages(scored, sides),
      metrics,
    };
  });

  try {
    yield* trainingSteps({
      algorithm: "online-dpo",
      settings,
      maxSteps: settings.totalSteps,
      models: { model: { parameters: decoder.trainable, optimizer }, others: reference.others },
      resume: options.resume,
      place: rounds,
      async take(step, learningRate) {
        const { experience, rows, tokens, epoch } = await rounds.next(step);
        const beta = settings.betas[Math.min(Math.ceil(epoch), settings.betas.length) - 1] as number;
        const { metrics, skipped } = await updateOn(experience, beta, decoder, settings, { optimizer, learningRate });
        reference.follow(step + 1);
        const completions = rows.map((row) => experience.completions[row] as ScoredCompletion);
        return { metrics: { ...experience.metrics, ...metrics }, tokens, epoch, skipped, completions };
      },
    });
  } finally {
    reference.dispose();
    optimizer.dispose();
  }
}

/** One optimiser step on the ranked pairs of a round, in as many micro-batches as the settings ask for. */
async function updateOn(experience: Experience, beta: number, decoder: Decoder, settings: OnlineDpoSettings, updating: Updating) {
  const { rollout, completions } = experience;
  const pairs = rankedPairs(completions);
  const refLogps = experience.refLogps as Float32Array;
  const refOf = (row: number) => gatherCounting(rollout, [row], refLogps).reduce((sum, logp) => sum + logp, 0);
  const lengthOf = (row: number) => rolloutRow(rollout, row).tokens.length;
  const lengths = pairs.map(({ chosen, rejected }) => lengthOf(chosen) + lengthOf(rejected));
  const options = { beta, labelSmoothing: 0, discopopTau: 1, meanChosenLength: 1, alpha: 1 };
  const pieces = microBatches(lengths, Math.max(1, Math.floor(settings.microBatchRows / 2)), settings.microBatchTokens).map((taken) =>
    taken.map((p) => pairs[p] as RankedPair),
  );
  const { outcome, reports } = await optimiserStep<"loss" | "chosen" | "rejected">(
    decoder.device,
    [updating],
    pieces.map((piece) => ({
      reads: { loss: 1, chosen: piece.length, rejected: piece.length },
      forward(tape, report) {
        const [chosen, rejected] = [piece.map((pair) => pair.chosen), piece.map((pair) => pair.rejected)];
        const batch = collate(
          [...chosen, ...rejected].map((row) => rolloutRow(rollout, row)),
          decoder.config.vocabSize,
        );
        const policy = pairSums(tape, batchLogprobs(tape, decoder, batch).logp, { offsets: batch.targetOffsets });
        // ipo on sums is ipo on averages over one token.
        const ones = tape.constant(new Float32Array(piece.length).fill(1));
        const { losses } = dpoLoss(
          tape,
          {
            chosenLogps: policy.chosen,
            rejectedLogps: policy.rejected,
            refChosenLogps: tape.constant(Float32Array.from(chosen, refOf)),
            refRejectedLogps: tape.constant(Float32Array.from(rejected, refOf)),
            chosenInverseLengths: ones,
            rejectedInverseLengths: ones,
          },
          { ...options, terms: [{ loss: settings.term, weight: 1 }], divergence: fDivergences.reverse_kl },
        );
        report.sum("loss", losses);
        report.copy("chosen", policy.chosen);
        report.copy("rejected", policy.rejected);
        return weighted(tape, losses, 1 / pairs.length);
      },
    })),
    settings,
  );
  const chosenLogps = reports.flatMap(({ chosen }) => [...chosen]);
  const rejectedLogps = reports.flatMap(({ rejected }) => [...rejected]);
  return {
    skipped: outcome.skipped,
    metrics: {
      loss: pairs.length > 0 ? total(reports, "loss") / pairs.length : 0,
      grad_norm: outcome.gradNorm,
      beta,
      "val/contain_eos_token": mean(completions.map(({ finishReason }) => (finishReason === "length" ? 0 : 1))),
      ...(pairs.length > 0 ? pairedMetrics({ pairs, chosenLogps, rejectedLogps, refOf, completions, beta }, settings) : {}),
    },
  };
}

interface PairedRecord {
  readonly pairs: readonly RankedPair[];
  readonly chosenLogps: readonly number[];
  readonly rejectedLogps: readonly number[];
  readonly refOf: (row: number) => number;
  readonly completions: readonly ScoredCompletion[];
  readonly beta: number;
}

/** TRL's `objective/*`, `rewards/*` and `logps/*`, over the completions of ranked pairs. A KL is the sampled Σ (log π - log π_ref) of a completion. */
function pairedMetrics(record: PairedRecord, settings: OnlineDpoSettings): Metrics {
  const { pairs, chosenLogps, rejectedLogps, refOf, completions, beta } = record;
  const chosenKls = pairs.map(({ chosen }, p) => (chosenLogps[p] as number) - refOf(chosen));
  const rejectedKls = pairs.map(({ rejected }, p) => (rejectedLogps[p] as number) - refOf(rejected));
  const kl = mean([...chosenKls, ...rejectedKls]);
  const scores = (side: keyof RankedPair) => pairs.map((pair) => scoreOf(completions[pair[side]] as ScoredCompletion, settings));
  const scored = mean([...scores("chosen"), ...scores("rejected")]);
  return {
    "objective/kl": kl,
    "objective/entropy": -mean([...chosenLogps, ...rejectedLogps]),
    "objective/non_score_reward": -beta * kl,
    ...(settings.judge
      ? {}
      : {
          "objective/rlhf_reward": scored - beta * kl,
          "objective/scores": scored,
          "objective/scores_margin": mean(scores("chosen")) - mean(scores("rejected")),
        }),
    ...pairMetrics({
      chosenRewards: chosenKls.map((x) => beta * x),
      rejectedRewards: rejectedKls.map((x) => beta * x),
      chosenLogps,
      rejectedLogps,
    }),
  };
}
