/**
 * Group relative policy optimisation (Shao et al. 2024) with the variants of TRL's GRPOTrainer: bnpo, dr_grpo, dapo, GSPO's
 * sequence-level ratio, two-sided and asymmetric clipping, several passes over a generation batch, KL to a reference.
 *
 * Each round: sample `numGenerations` completions of each prompt, score them, turn rewards into advantages within groups, and
 * take optimiser steps on the clipped surrogate. The policy that samples is the policy that trains.
 *
 * Left out: the correction of sampler mismatch by importance weights (same weights, same device: the mismatch is rounding and
 * is reported as `sampling/*`), DAPO's resampling of groups without spread, tools, a reference that moves.
 */
import { POLICY_SUMS, shuffle } from "@trimtab/kernels";
import { Tape } from "../autograd/tape";
import type { TrainingState } from "../checkpoint/state";
import { type Batch, collate } from "../data/batch";
import { microBatches } from "../data/micro-batches";
import { DataOrder } from "../data/order";
import type { EncodedPrompt } from "../data/tokenize";
import { entropyBonus } from "../losses/entropy-bonus";
import { entropyWeight, type StepTotals, tokenWeights } from "../losses/token-weights";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import type { AdamW } from "../optim/adamw";
import { type Metrics, policyMetrics, type UpdatedRow } from "../rl/metrics";
import { countingTokens, gatherCounting, rolloutRow } from "../rl/rollout";
import { type ScoredCompletion, type ScoredRollout, scoredRolloutFromJSON, scoredRolloutToJSON } from "../rl/scored-rollout";
import { type GrpoOptions, type GrpoSettings, resolveGrpo } from "./grpo-options";
import { rollOut } from "./grpo-rollout";
import { createOptimizer, learningRates, stepTime } from "./options";
import { surrogates } from "./policy-surrogates";
import { Readback } from "./readback";
import { captureRun, requireCurrent, restoreRun } from "./training-state";

export type { GrpoOptions, RolloutFunction } from "./grpo-options";

/** One optimiser step. When it is yielded, weights and optimiser are exactly those after `step` steps. */
export interface GrpoStep {
  /** From 1. */
  readonly step: number;
  readonly maxSteps: number;
  /** TRL's names; see docs/algorithms/grpo.md. */
  readonly metrics: Metrics;
  /** The completions this step was taken on. */
  readonly completions: readonly ScoredCompletion[];
  /** Everything needed to continue after this step; to be called before the next step is asked for. */
  state(): Promise<TrainingState>;
}

/** Trains `model` and yields after every optimiser step. Throws ConfigError or DataError before any work, RewardError from rewards. */
export async function* grpo(options: GrpoOptions): AsyncGenerator<GrpoStep, void, undefined> {
  const settings = resolveGrpo(options);
  const { model } = options;
  const { decoder } = model;
  const { prompts, promptsPerGeneration, rowsPerStep, stepsPerPass, stepsPerRollout, totalSteps, signal } = settings;
  const order = new DataOrder(prompts.length, settings.seed, settings.shuffleDataset);
  const rateOf = learningRates(settings, totalSteps);
  const optimizer = createOptimizer(decoder.parameters, settings);
  const given = options.reference === "initial" ? undefined : options.reference;
  const run: GrpoRun = { step: 0, position: 0, numTokens: 0, skippedSteps: 0, taken: 0, scored: undefined };
  let initial: Decoder | undefined;
  try {
    if (settings.needsReference && !given) initial = decoder.clone();
    const reference = settings.needsReference ? (given?.decoder ?? initial) : undefined;
    if (options.resume) Object.assign(run, runFromJSON(restoreRun(options.resume, "grpo", decoder.parameters, optimizer)));
    while (run.step < totalSteps) {
      signal?.throwIfAborted();
      const started = settings.clock?.();
      if (!run.scored) {
        const asked = order.slice(run.position, promptsPerGeneration).map((i) => prompts[i] as EncodedPrompt);
        const progress = { globalStep: run.step, maxSteps: totalSteps, epoch: run.position / prompts.length };
        run.scored = await rollOut(model, reference, asked, run.position, progress, settings);
        run.position += promptsPerGeneration;
        run.numTokens += run.scored.rollout.tokens.length;
        run.taken = 0;
      }
      const { scored } = run;
      const learningRate = rateOf(run.step);
      const first = (run.taken % stepsPerPass) * rowsPerStep;
      const rows = rowOrder(scored, settings, run.position).slice(first, first + rowsPerStep);
      const update = await updateOn(rows, scored, decoder, settings, optimizer, learningRate);
      run.step += 1;
      run.taken += 1;
      run.skippedSteps += update.skipped ? 1 : 0;
      const consumed = run.position - promptsPerGeneration * (1 - run.taken / stepsPerRollout);
      if (run.taken === stepsPerRollout) run.scored = undefined;
      const { step } = run;
      yield {
        step,
        maxSteps: totalSteps,
        metrics: {
          ...scored.metrics,
          ...update.metrics,
          learning_rate: learningRate,
          epoch: consumed / prompts.length,
          num_tokens: run.numTokens,
          skipped_steps: run.skippedSteps,
          ...stepTime(settings, started),
        },
        completions: rows.map((row) => scored.completions[row] as ScoredCompletion),
        state: () => {
          requireCurrent(step, run.step);
          return captureRun("grpo", step, decoder.parameters, optimizer, runToJSON(run));
        },
      };
    }
  } finally {
    initial?.dispose();
    optimizer.dispose();
    run.step = Number.NaN;
  }
}

/** Where a run stands between two steps. */
interface GrpoRun {
  step: number;
  /** Prompts taken from the data order. */
  position: number;
  numTokens: number;
  skippedSteps: number;
  /** Steps taken on `scored`. */
  taken: number;
  /** The rollout being learned from; undefined between rollouts. */
  scored: ScoredRollout | undefined;
}

const runToJSON = ({ scored, ...counters }: GrpoRun) => ({ ...counters, scored: scored ? scoredRolloutToJSON(scored) : null });

function runFromJSON(json: Readonly<Record<string, unknown>>): GrpoRun {
  const scored = json.scored as Record<string, unknown> | null;
  return { ...(json as unknown as GrpoRun), scored: scored ? scoredRolloutFromJSON(scored) : undefined };
}

/** One optimiser step on some rows of a rollout, in as many micro-batches as the settings ask for. */
async function updateOn(
  rows: readonly number[],
  scored: ScoredRollout,
  decoder: Decoder,
  settings: GrpoSettings,
  optimizer: AdamW,
  learningRate: number,
): Promise<{ metrics: Metrics; skipped: boolean }> {
  const { rollout, advantages, oldLogps, refLogps } = scored;
  const counts = rollout.ends.map((_, row) => countingTokens(rollout, row));
  const total = (of: readonly number[]) => of.reduce((sum, row) => sum + (counts[row] as number), 0);
  const totals: StepTotals = {
    sequences: rows.length,
    tokens: total(rows),
    generationTokens: total(counts.map((_, row) => row)) / settings.stepsPerPass,
    maxCompletionLength: settings.maxCompletionLength,
  };
  const weightOf = (row: number) => tokenWeights[settings.lossType](counts[row] as number, totals);
  const bonus = settings.entropyCoef * entropyWeight(settings.lossType, totals);

  const trained = rows.filter((row) => (counts[row] as number) > 0);
  const lengths = trained.map((row) => rolloutRow(rollout, row).tokens.length);
  const micro = microBatches(lengths, settings.microBatchRows, settings.microBatchTokens).map((indices) => {
    const taken = indices.map((i) => trained[i] as number);
    const batch = collate(
      taken.map((row) => rolloutRow(rollout, row)),
      decoder.config.vocabSize,
    );
    return { taken, batch };
  });

  // Windows: 0 (norm, coefficient); then of each micro-batch the policy's sums, the sequence surrogate, Σ entropy, logps (M).
  const readback = new Readback(decoder.device, [2, ...micro.flatMap(({ batch }) => [8, 1, 1, batch.targets.length])]);
  try {
    decoder.parameters.zeroGrads();
    micro.forEach(({ taken, batch }, i) => {
      const at = 1 + 4 * i;
      const tape = new Tape(decoder.device, { checkpoint: settings.gradientCheckpointing });
      try {
        const { logp, entropy } = batchLogprobs(tape, decoder, batch, settings.temperature); // (M)
        const roots = surrogates[settings.level](
          tape,
          {
            logps: logp,
            oldLogps: oldLogps ? tape.constant(gatherCounting(rollout, taken, oldLogps)) : logp,
            refLogps: refLogps ? tape.constant(gatherCounting(rollout, taken, refLogps)) : undefined,
            targetOffsets: batch.targetOffsets,
            advantages: taken.map((row) => advantages[row] as number),
            weights: taken.map(weightOf),
          },
          settings.loss,
          { sums: readback.window(at), surrogate: readback.window(at + 1) },
        );
        readback.sum(tape, entropy, at + 2);
        readback.copy(logp, at + 3);
        tape.backward(bonus === 0 ? roots : [...roots, ...entropyBonus(tape, entropy, bonus)]);
      } finally {
        tape.dispose();
      }
    });
    optimizer.apply(learningRate);
    readback.copy(optimizer.stats, 0);
    const [stats, ...windows] = (await readback.read()) as [Float32Array, ...Float32Array[]];
    const { gradNorm, skipped } = optimizer.outcome(stats);
    const sum = (window: number, index = 0) =>
      micro.reduce((acc, _, i) => acc + ((windows[4 * i + window] as Float32Array)[index] as number), 0);
    const counted = Math.max(1, totals.tokens);
    const policyLoss = sum(0, POLICY_SUMS.loss) + sum(1);
    const updated = micro.flatMap(({ taken, batch }, i) => updatedRows(taken, batch, windows[4 * i + 3] as Float32Array, scored));
    return {
      skipped,
      metrics: {
        loss: policyLoss - bonus * sum(2),
        grad_norm: gradNorm,
        entropy: sum(2) / counted,
        ...(refLogps ? { kl: sum(0, POLICY_SUMS.k3) / counted } : {}),
        ...(bonus === 0 ? {} : { policy_loss: policyLoss, entropy_coef: settings.entropyCoef }),
        ...policyMetrics(updated, { ...settings.loss, level: settings.level }),
      },
    };
  } finally {
    readback.dispose();
  }
}

/** The log-probabilities of a micro-batch's completions, row by row. */
function updatedRows(rows: readonly number[], batch: Batch, logps: Float32Array, scored: ScoredRollout): UpdatedRow[] {
  const { rollout, advantages, oldLogps } = scored;
  return rows.map((row, s) => {
    const own = logps.subarray(batch.targetOffsets[s], batch.targetOffsets[s + 1]);
    return {
      logps: own,
      oldLogps: oldLogps ? gatherCounting(rollout, [row], oldLogps) : own,
      samplerLogps: gatherCounting(rollout, [row], rollout.samplerLogps),
      advantage: advantages[row] as number,
    };
  });
}

/** The order in which a rollout's rows are trained on: shuffled where a pass over them is several steps, so that steps mix groups. */
function rowOrder({ rollout }: ScoredRollout, { seed, stepsPerPass }: GrpoSettings, position: number): readonly number[] {
  const count = rollout.ends.length;
  return stepsPerPass === 1 ? Array.from({ length: count }, (_, row) => row) : Array.from(shuffle(count, seed, ROW_STREAM + position));
}

/** Streams of the row shuffles, apart from the dataset's. */
const ROW_STREAM = 0x80000000;
