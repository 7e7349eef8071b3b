/** The loop that every trainer shares: it takes optimiser steps, yields each, and can be captured and resumed between any two. */
import type { TrainingState } from "../checkpoint/state";
import type { Metrics } from "../rl/metrics";
import { learningRates, stepTime, type TrainingSettings } from "./options";
import { captureRun, requireCurrent, restoreRun, type TrainedModels } from "./training-state";

/** One optimiser step. When it is yielded, weights and optimisers are exactly those after `step` steps. */
export interface TrainingStep {
  /** From 1. */
  readonly step: number;
  readonly maxSteps: number;
  /** TRL's names. */
  readonly metrics: Metrics;
  /** Everything needed to continue after this step; to be called before the next step is asked for. */
  state(): Promise<TrainingState>;
}

/** What a trainer says of one optimiser step. */
export interface TakenStep {
  readonly metrics: Metrics;
  /** Tokens met for the first time, for `num_tokens`. */
  readonly tokens: number;
  /** Passes over the dataset after this step, fractional. */
  readonly epoch: number;
  /** A non-finite gradient left everything as it was. */
  readonly skipped: boolean;
}

export interface StepPlan<Taken extends TakenStep> {
  /** The trainer's name, which its checkpoints carry. */
  readonly algorithm: string;
  readonly settings: TrainingSettings;
  readonly maxSteps: number;
  /** What a checkpoint holds besides the run's numbers; the first is the model being trained. */
  readonly models: TrainedModels;
  readonly resume: TrainingState | undefined;
  /** The trainer's own place in the run, as JSON and back. */
  readonly place?: { capture(): Record<string, unknown>; restore(json: Readonly<Record<string, unknown>>): void };
  /** Takes step `step` (from 0). What it returns beyond {@link TakenStep} is part of the yielded step. */
  take(step: number, learningRate: number): Promise<Taken>;
}

interface RunCounters {
  readonly numTokens: number;
  readonly skippedSteps: number;
}

/** Takes `maxSteps` steps, or those left of a resumed run, and yields after each. */
export async function* trainingSteps<Taken extends TakenStep>(
  plan: StepPlan<Taken>,
): AsyncGenerator<TrainingStep & Omit<Taken, keyof TakenStep>, void, undefined> {
  const { algorithm, settings, maxSteps, models, resume, place } = plan;
  const rateOf = learningRates(settings, maxSteps);
  const run = { step: 0, numTokens: 0, skippedSteps: 0 };
  if (resume) {
    const { own, ...counters } = restoreRun(resume, algorithm, models) as unknown as RunCounters & { own: Record<string, unknown> };
    Object.assign(run, { step: resume.step, ...counters });
    place?.restore(own);
  }
  try {
    await settings.onReady?.(maxSteps);
    while (run.step < maxSteps) {
      settings.signal?.throwIfAborted();
      const started = settings.clock?.();
      const learningRate = rateOf(run.step);
      const { metrics, tokens, epoch, skipped, ...more } = await plan.take(run.step, learningRate);
      run.step += 1;
      run.numTokens += tokens;
      run.skippedSteps += skipped ? 1 : 0;
      const { step, numTokens, skippedSteps } = run;
      yield {
        ...more,
        step,
        maxSteps,
        metrics: {
          ...metrics,
          learning_rate: learningRate,
          epoch,
          num_tokens: numTokens,
          skipped_steps: skippedSteps,
          ...stepTime(settings, started),
        },
        state: () => {
          requireCurrent(step, run.step);
          return captureRun(algorithm, step, models, { numTokens, skippedSteps, own: place?.capture() ?? {} });
        },
      };
    }
  } finally {
    run.step = Number.NaN;
  }
}
