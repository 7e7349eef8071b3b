/** Drives a trainer for the command line: progress, metrics, checkpoints, Ctrl-C, the final model and the report. */
import {
  type Device,
  formatProfile,
  type LanguageModel,
  type MetricRow,
  type Profile,
  profilerOf,
  saveCheckpoint,
  type TrainingState,
} from "@trimtab/core";
import { nodeDirectory } from "../files";
import { saveModel } from "../model";
import { type TrainingRun, writeTrainingReport } from "../report/training-report";
import { listenForInterrupt } from "./interrupt";
import { MetricsLog } from "./metrics-log";
import { startProgress } from "./progress";
import { clearCheckpoints, type OpenRun } from "./run-directory";

/** What the command line needs of a trainer's step. */
export interface TrainingStep {
  readonly step: number;
  readonly maxSteps: number;
  readonly metrics: Readonly<Record<string, number>>;
  state(): Promise<TrainingState>;
}

export interface TrainOptions<S extends TrainingStep> {
  readonly command: string;
  readonly model: LanguageModel;
  readonly device: Device;
  readonly steps: AsyncIterable<S>;
  readonly run: OpenRun;
  readonly options: {
    readonly outputDir: string;
    readonly saveSteps: number;
    readonly saveTotalLimit?: number | undefined;
    readonly loggingSteps: number;
    readonly report: boolean;
  };
  /** Completions of a step worth showing. */
  readonly samples?: (step: S) => TrainingRun["samples"];
}

/** How many samples the report shows. */
const SAMPLES = 12;

/** Trains to the end or to the first Ctrl-C, saves, and returns the exit code. An error leaves the last checkpoint as it was. */
export async function train<S extends TrainingStep>(training: TrainOptions<S>): Promise<number> {
  const { command, model, device, options, steps } = training;
  const { resumedStep } = training.run;
  const { outputDir } = options;
  const log = new MetricsLog(outputDir, { every: options.loggingSteps, resumedStep });
  const interrupt = listenForInterrupt(() => console.error("\nFinishing this step and saving; press Ctrl-C again to stop at once."));
  const started = performance.now();
  const first = { tokens: Number(log.rows.at(-1)?.num_tokens ?? 0) };
  let progress: ReturnType<typeof startProgress> | undefined;
  let samples: TrainingRun["samples"] = [];
  let savedStep = resumedStep;
  const profiler = profilerOf(device);
  let profiled: { readonly profile: Profile; readonly steps: number } | undefined;
  try {
    profiler?.reset();
    for await (const step of steps) {
      if (!progress) {
        if (resumedStep === 0) await clearCheckpoints(outputDir);
        progress = startProgress({ label: command, total: step.maxSteps, done: resumedStep });
      }
      if (profiler) {
        await device.sync();
        profiled = { profile: profiler.take(), steps: step.step - resumedStep };
      }
      const row: MetricRow = { ...step.metrics, step: step.step };
      log.add(row);
      progress.update(step.step, note(row, first.tokens, started));
      if (training.samples) samples = [...training.samples(step), ...samples].slice(0, SAMPLES);
      const isDue = options.saveSteps > 0 && step.step % options.saveSteps === 0;
      if (isDue || step.step === step.maxSteps || interrupt.exitCode !== undefined) {
        const description = { ...model, config: model.decoder.config, adapter: model.decoder.adapter };
        await saveCheckpoint(await step.state(), description, nodeDirectory(outputDir), {
          saveTotalLimit: options.saveTotalLimit,
        });
        savedStep = step.step;
      }
      if (interrupt.exitCode !== undefined) break;
    }
  } finally {
    progress?.stop();
    log.flush();
    interrupt.dispose();
  }
  if (interrupt.exitCode !== undefined) {
    console.error(`Stopped after step ${savedStep}. Continue with --resume-from-checkpoint.`);
    return interrupt.exitCode;
  }
  await saveModel(model, outputDir);
  console.log(`${model.decoder.adapter ? "Adapter" : "Model"} in ${outputDir}, metrics in ${log.path}`);
  if (profiled) console.log(`\n${formatProfile(profiled.profile, profiled.steps)}\n`);
  if (options.report) {
    const parameterCount = model.decoder.parameters.count;
    const elapsedMs = performance.now() - started;
    console.log(
      `Report in ${await writeTrainingReport(outputDir, { command, device, rows: log.rows, options, elapsedMs, parameterCount, samples, profiled })}`,
    );
  }
  return 0;
}

/** The figures behind the progress bar. */
function note(row: MetricRow, firstTokens: number, started: number): string {
  const parts: string[] = [];
  const tokens = row.num_tokens;
  if (tokens !== undefined) parts.push(`${Math.round((tokens - firstTokens) / ((performance.now() - started) / 1000))} tokens/s`);
  for (const name of ["reward", "loss", "kl"]) {
    const value = row[name];
    if (value !== undefined) parts.push(`${name} ${value.toFixed(3)}`);
  }
  return parts.join("  ");
}
