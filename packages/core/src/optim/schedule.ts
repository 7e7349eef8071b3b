/** Learning-rate schedules as pure functions of the step, with transformers' names and formulas (transformers/optimization.py). */
import { hostMath, TrimtabError } from "@trimtab/kernels";

/** The names transformers gives them (`lr_scheduler_type`). */
export type ScheduleName =
  | "constant"
  | "constant_with_warmup"
  | "linear"
  | "cosine"
  | "cosine_with_restarts"
  | "cosine_with_min_lr"
  | "inverse_sqrt"
  | "polynomial"
  | "warmup_stable_decay";

/** Options of {@link lrSchedule}; each schedule reads the fields it needs. */
export interface ScheduleOptions {
  /** Steps over which the factor rises linearly from 0; default 0. */
  readonly warmupSteps?: number;
  /** Steps of the whole run, warm-up included; required where the factor decays over a known length. */
  readonly totalSteps?: number;
  /** Cosine periods: default 0.5 (half a wave), 1 for cosine_with_restarts. */
  readonly numCycles?: number;
  /** cosine_with_min_lr, warmup_stable_decay: the lowest factor; default 0. */
  readonly minRate?: number;
  /** polynomial: exponent; default 1. */
  readonly power?: number;
  /** polynomial: final factor; default 0.001 (transformers: lr_end 1e-7 for a rate of 1e-4). */
  readonly endFactor?: number;
  /** inverse_sqrt: default warmupSteps, or 10000 without warm-up. */
  readonly timescale?: number;
  /** warmup_stable_decay: length of the final decay; required there. Steps between warm-up and decay have factor 1. */
  readonly decaySteps?: number;
  /** warmup_stable_decay: shape of the decay; default "cosine". */
  readonly decayType?: "cosine" | "linear" | "1-sqrt";
}

/** A schedule's options do not fit it. */
export class ScheduleError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("SCHEDULE", message, options);
  }
}

type Factor = (step: number) => number;

const halfWave = (phase: number) => 0.5 * (1 + hostMath.cos(Math.PI * phase));

/** The part of the run after the warm-up that `step` has reached; 0 at its start, 1 at its end. */
const progressOf = (step: number, warmup: number, total: number) => (step - warmup) / Math.max(1, total - warmup);

const schedules: Record<ScheduleName, (options: ScheduleOptions, warmup: number, total: number) => Factor> = {
  constant: () => () => 1,
  constant_with_warmup: () => () => 1,
  linear: (_, warmup, total) => (step) => Math.max(0, (total - step) / Math.max(1, total - warmup)),
  cosine:
    ({ numCycles = 0.5 }, warmup, total) =>
    (step) =>
      Math.max(0, halfWave(numCycles * 2 * progressOf(step, warmup, total))),
  cosine_with_restarts:
    ({ numCycles = 1 }, warmup, total) =>
    (step) => {
      const progress = progressOf(step, warmup, total);
      return progress >= 1 ? 0 : Math.max(0, halfWave((numCycles * progress) % 1));
    },
  cosine_with_min_lr:
    ({ numCycles = 0.5, minRate = 0 }, warmup, total) =>
    (step) =>
      Math.max(0, halfWave(numCycles * 2 * progressOf(step, warmup, total)) * (1 - minRate) + minRate),
  inverse_sqrt: ({ timescale }, warmup) => {
    const scale = timescale ?? (warmup || 10_000);
    return (step) => 1 / Math.sqrt((step + scale - warmup) / scale);
  },
  polynomial:
    ({ power = 1, endFactor = 0.001 }, warmup, total) =>
    (step) => {
      if (step > total) return endFactor;
      const remaining = 1 - (step - warmup) / Math.max(1, total - warmup);
      return (1 - endFactor) * hostMath.pow(remaining, power) + endFactor;
    },
  warmup_stable_decay:
    ({ numCycles = 0.5, minRate = 0, decaySteps = 0, decayType = "cosine" }, _, total) =>
    (step) => {
      const progress = (step - (total - decaySteps)) / Math.max(1, decaySteps);
      if (progress < 0) return 1;
      if (progress >= 1) return minRate;
      const shape = {
        cosine: () => halfWave(numCycles * 2 * progress),
        linear: () => 1 - progress,
        "1-sqrt": () => 1 - Math.sqrt(progress),
      };
      return Math.max(0, shape[decayType]() * (1 - minRate) + minRate);
    },
};

const endless: readonly ScheduleName[] = ["constant", "constant_with_warmup", "inverse_sqrt"];

/**
 * The factor of the base learning rate at an optimiser step (from 0): `lrSchedule("cosine", { warmupSteps, totalSteps })(step)`.
 * `constant` ignores the warm-up, as in transformers; `warmup_stable_decay` warms up from `minRate` instead of 0.
 */
export function lrSchedule(name: ScheduleName, options: ScheduleOptions = {}): Factor {
  const make = schedules[name];
  if (make === undefined) {
    throw new ScheduleError(
      `lrSchedule: name must be one of ${Object.keys(schedules).join(", ")}, got ${JSON.stringify(name)}. Choose one.`,
    );
  }
  const { warmupSteps = 0, totalSteps } = options;
  const problems: string[] = [];
  if (!(warmupSteps >= 0)) problems.push(`warmupSteps must be at least 0, got ${warmupSteps}`);
  if (!endless.includes(name) && !(totalSteps !== undefined && totalSteps >= 0)) {
    problems.push(`totalSteps must be given and at least 0, got ${totalSteps}`);
  }
  if (name === "warmup_stable_decay" && !(options.decaySteps !== undefined && options.decaySteps >= 0)) {
    problems.push(`decaySteps must be given and at least 0, got ${options.decaySteps}`);
  }
  if (problems.length > 0) throw new ScheduleError(`lrSchedule: ${problems.join("; ")}. Correct the options of "${name}".`);
  const factor = make(options, warmupSteps, totalSteps ?? 0);
  if (name === "constant") return factor;
  const start = name === "warmup_stable_decay" ? (options.minRate ?? 0) : 0;
  return (step) => (step < warmupSteps ? (step / Math.max(1, warmupSteps)) * (1 - start) + start : factor(step));
}
