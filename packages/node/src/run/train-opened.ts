/** Takes a command from its options to the trained model on disk: the device, the output directory, the memory, and then the training. */
import type { LanguageModel, TrainingOptions } from "@trimtab/core";
import { type DeviceFlags, withDevice } from "../device";
import { fitRun, type MemoryFlags, type OpenableRun } from "./fit-run";
import { openRun } from "./run-directory";
import { type TrainingStep, type TrainOptions, train } from "./train";

/** Options that every training command has. */
export type TrainingFlags = TrainOptions<TrainingStep>["options"] & Parameters<typeof openRun>[0] & DeviceFlags & MemoryFlags;

/** What the trainer is given besides the command's own options and what is opened for it. */
export type RunOptions = Pick<TrainingOptions, "resume" | "clock" | "maxTokensPerMicroBatch" | "gradientCheckpointing">;

/** A run of a language model, whatever else it needs. `start` must let what it is given override the command's own options. */
export interface LanguageModelRun<Run extends object, S extends TrainingStep> extends Omit<OpenableRun<Run>, "start"> {
  readonly start: (run: Run & RunOptions) => AsyncIterable<S> | Promise<AsyncIterable<S>>;
  readonly samples?: TrainOptions<S>["samples"];
  /** Called with what was opened when the model has been saved. */
  readonly onSaved?: (run: Run) => Promise<void>;
}

/** Trains and saves, and returns the exit code. */
export function trainOpened<Run extends { readonly model: LanguageModel }, S extends TrainingStep>(
  command: string,
  options: TrainingFlags,
  { open, start, samples, onSaved }: LanguageModelRun<Run, S>,
): Promise<number> {
  return withDevice(options, async (device) => {
    const run = await openRun(options);
    const fitted = await fitRun(options, device, { open, start });
    if (!fitted) return 0;
    const opened = await open(device);
    const steps = await start({ ...opened, ...fitted, resume: run.resume, clock: () => performance.now() });
    const code = await train({ command, model: opened.model, device, steps, run, options, ...(samples ? { samples } : {}) });
    if (code === 0) await onSaved?.(opened);
    return code;
  });
}
