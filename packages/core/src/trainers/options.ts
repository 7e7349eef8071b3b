/** Options common to the trainers, under TRL's names; and one check that lists every bad option at once. */

import type { TrainingState } from "../checkpoint/state";
import { describe } from "../data/jsonl";
import { ConfigError } from "../errors";
import type { ParameterSet } from "../nn/parameters";
import { AdamW } from "../optim/adamw";
import { lrSchedule, type ScheduleName, type ScheduleOptions } from "../optim/schedule";
import type { SignalLike } from "../rl/abort";

/** Optimiser, schedule and batches. Defaults are those of TRL and transformers unless the comment says why not. */
export interface TrainingOptions {
  /** Peak learning rate of AdamW. SFT 2e-5, GRPO 1e-6. */
  readonly learningRate?: number | undefined;
  /** Most rows per micro-batch. Default 8. */
  readonly perDeviceTrainBatchSize?: number | undefined;
  /** Micro-batches' worth of rows per optimiser step. Default 1. */
  readonly gradientAccumulationSteps?: number | undefined;
  /** Splits micro-batches further where they have more tokens; the gradient stays the same. Default: no bound. */
  readonly maxTokensPerMicroBatch?: number | undefined;
  /** Passes over the dataset. Default 3. */
  readonly numTrainEpochs?: number | undefined;
  /** Optimiser steps in all; overrides `numTrainEpochs`. -1 or undefined: not given. */
  readonly maxSteps?: number | undefined;
  /** Default "linear". */
  readonly lrSchedulerType?: ScheduleName | undefined;
  /** What the schedule needs besides steps and warm-up: `numCycles`, `minRate`, ... */
  readonly lrSchedulerKwargs?: Omit<ScheduleOptions, "warmupSteps" | "totalSteps"> | undefined;
  /** Steps of linear warm-up. Default 0. */
  readonly warmupSteps?: number | undefined;
  /** Warm-up as a share of all steps, rounded up, where `warmupSteps` is 0. Default 0. */
  readonly warmupRatio?: number | undefined;
  /** Decoupled weight decay of matrices. Default 0. */
  readonly weightDecay?: number | undefined;
  /** Largest global gradient norm; 0 does not clip. Default 1. */
  readonly maxGradNorm?: number | undefined;
  /** Default 0.9. */
  readonly adamBeta1?: number | undefined;
  /** Default 0.999. */
  readonly adamBeta2?: number | undefined;
  /** Default 1e-8. */
  readonly adamEpsilon?: number | undefined;
  /** "adamw_8bit" keeps AdamW's moments in 8 bits, a quarter of their memory. Default "adamw_torch". */
  readonly optim?: "adamw_torch" | "adamw_8bit" | undefined;
  /** Seed of every random draw. Default 42. */
  readonly seed?: number | undefined;
  /** Visit the rows in a seeded random order, another each epoch. Default true: what transformers' random sampler does. */
  readonly shuffleDataset?: boolean | undefined;
  /** Recompute each layer in the backward pass instead of keeping its activations. Default false (TRL: true): small models fit. */
  readonly gradientCheckpointing?: boolean | undefined;
  /** Abandons the work in progress and throws its reason. To stop and save, leave the loop after a step instead. */
  readonly signal?: SignalLike | undefined;
  /** Milliseconds since any origin, e.g. `performance.now`; where given, steps report `step_time`. */
  readonly clock?: (() => number) | undefined;
  /**
   * Called, and waited for, when options and data have been found good and everything is set up, before the first step of `maxSteps`: what it throws
   * ends the run.
   */
  readonly onReady?: ((maxSteps: number) => void | Promise<void>) | undefined;
  /** Continue a run: models (whose weights make an initial reference), data and options must be those it was started with. */
  readonly resume?: TrainingState | undefined;
}

/** Options with defaults filled in. */
export interface TrainingSettings {
  readonly learningRate: number;
  readonly microBatchRows: number;
  readonly microBatchTokens: number;
  /** Rows per optimiser step. */
  readonly rowsPerStep: number;
  readonly gradientAccumulationSteps: number;
  readonly numTrainEpochs: number;
  readonly maxSteps: number | undefined;
  readonly lrSchedulerType: ScheduleName;
  readonly lrSchedulerKwargs: ScheduleOptions;
  readonly warmupSteps: number;
  readonly warmupRatio: number;
  readonly weightDecay: number;
  readonly maxGradNorm: number;
  readonly adamBeta1: number;
  readonly adamBeta2: number;
  readonly adamEpsilon: number;
  readonly optim: "adamw_torch" | "adamw_8bit";
  readonly seed: number;
  readonly shuffleDataset: boolean;
  readonly gradientCheckpointing: boolean;
  readonly signal: SignalLike | undefined;
  readonly clock: (() => number) | undefined;
  readonly onReady: ((maxSteps: number) => void | Promise<void>) | undefined;
}

/** Collects what is wrong with options. */
export class OptionChecks {
  readonly #problems: string[] = [];

  /** Notes a problem unless `isGood`, and returns the value. */
  check<T>(name: string, value: T, isGood: boolean, expected: string): T {
    if (!isGood) this.#problems.push(`\`${name}\` must be ${expected}, got ${typeof value === "number" ? value : describe(value)}`);
    return value;
  }

  /** A whole number of at least `least`. */
  count(name: string, value: number, least = 1): number {
    return this.check(name, value, Number.isSafeInteger(value) && value >= least, `a whole number of at least ${least}`);
  }

  /** A number in [low, high], or above low where `open`. */
  number(name: string, value: number, low: number, high = Number.POSITIVE_INFINITY, open = false): number {
    const isGood = Number.isFinite(value) && (open ? value > low : value >= low) && value <= high;
    const above = open ? `above ${low}` : `at least ${low}`;
    return this.check(
      name,
      value,
      isGood,
      high === Number.POSITIVE_INFINITY ? `a number ${above}` : `a number ${above} and at most ${high}`,
    );
  }

  /** One of the given words. */
  choice<T extends string>(name: string, value: T, choices: readonly T[]): T {
    return this.check(name, value, choices.includes(value), `one of ${choices.join(", ")}`);
  }

  /** Throws ConfigError with all of them. */
  throwIfAny(where: string): void {
    if (this.#problems.length > 0) throw new ConfigError(`${where}: ${this.#problems.join("; ")}. Correct these options.`);
  }
}

/** Fills in defaults and notes what is wrong in `checks`. */
export function resolveTraining(
  options: TrainingOptions,
  defaults: { readonly learningRate: number },
  checks: OptionChecks,
): TrainingSettings {
  const rows = checks.count("perDeviceTrainBatchSize", options.perDeviceTrainBatchSize ?? 8);
  const accumulation = checks.count("gradientAccumulationSteps", options.gradientAccumulationSteps ?? 1);
  const maxSteps = options.maxSteps === -1 ? undefined : options.maxSteps;
  if (maxSteps !== undefined) checks.count("maxSteps", maxSteps);
  const warmupSteps = checks.count("warmupSteps", options.warmupSteps ?? 0, 0);
  const kwargs = options.lrSchedulerKwargs ?? {};
  const lrSchedulerType = options.lrSchedulerType ?? "linear";
  try {
    lrSchedule(lrSchedulerType, { ...kwargs, totalSteps: 1 });
  } catch (error) {
    checks.check("lrSchedulerType", lrSchedulerType, false, `a schedule with its options (${(error as Error).message})`);
  }
  return {
    learningRate: checks.number("learningRate", options.learningRate ?? defaults.learningRate, 0),
    microBatchRows: rows,
    microBatchTokens:
      options.maxTokensPerMicroBatch === undefined
        ? Number.POSITIVE_INFINITY
        : checks.count("maxTokensPerMicroBatch", options.maxTokensPerMicroBatch),
    rowsPerStep: rows * accumulation,
    gradientAccumulationSteps: accumulation,
    numTrainEpochs: checks.number("numTrainEpochs", options.numTrainEpochs ?? 3, 0, undefined, true),
    maxSteps,
    lrSchedulerType,
    lrSchedulerKwargs: kwargs,
    warmupSteps,
    warmupRatio: checks.number("warmupRatio", options.warmupRatio ?? 0, 0, 1),
    weightDecay: checks.number("weightDecay", options.weightDecay ?? 0, 0),
    maxGradNorm: checks.number("maxGradNorm", options.maxGradNorm ?? 1, 0),
    adamBeta1: checks.check("adamBeta1", options.adamBeta1 ?? 0.9, isDecay(options.adamBeta1 ?? 0.9), "at least 0 and below 1"),
    adamBeta2: checks.check("adamBeta2", options.adamBeta2 ?? 0.999, isDecay(options.adamBeta2 ?? 0.999), "at least 0 and below 1"),
    adamEpsilon: checks.number("adamEpsilon", options.adamEpsilon ?? 1e-8, 0, undefined, true),
    optim: checks.choice("optim", options.optim ?? "adamw_torch", ["adamw_torch", "adamw_8bit"]),
    seed: checks.count("seed", options.seed ?? 42, 0),
    shuffleDataset: options.shuffleDataset ?? true,
    gradientCheckpointing: options.gradientCheckpointing ?? false,
    signal: options.signal,
    clock: options.clock,
    onReady: options.onReady,
  };
}

/** AdamW over a model's parameters as the settings say. */
export function createOptimizer(parameters: ParameterSet, settings: TrainingSettings): AdamW {
  return new AdamW(parameters, {
    betas: [settings.adamBeta1, settings.adamBeta2],
    eps: settings.adamEpsilon,
    weightDecay: settings.weightDecay,
    maxGradNorm: settings.maxGradNorm,
    is8bit: settings.optim === "adamw_8bit",
  });
}

/** The learning rate of each optimiser step (from 0) of a run of `maxSteps`. */
export function learningRates(settings: TrainingSettings, maxSteps: number): (step: number) => number {
  const warmupSteps = settings.warmupSteps > 0 ? settings.warmupSteps : Math.ceil(settings.warmupRatio * maxSteps);
  const factor = lrSchedule(settings.lrSchedulerType, { ...settings.lrSchedulerKwargs, warmupSteps, totalSteps: maxSteps });
  return (step) => settings.learningRate * factor(step);
}

/** `step_time` in seconds since `started`, where there is a clock. */
export function stepTime({ clock }: TrainingSettings, started: number | undefined): Record<string, number> {
  return clock === undefined || started === undefined ? {} : { step_time: (clock() - started) / 1000 };
}

const isDecay = (beta: number) => beta >= 0 && beta < 1;
