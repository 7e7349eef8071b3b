/** Whether a run fits the device's memory, found out before anything is loaded: the trainer runs on a device that holds nothing. */
import { type Device, type FittedOptions, fitMemory, formatBytes, formatMemoryPlan, planMemory, requireMemory } from "@trimtab/core";
import { createDryDevice } from "@trimtab/kernels/dry";
import type { z } from "zod";
import type { memoryFields } from "../cli/schemas/fields";
import type { TrainingStep } from "./train";

export type MemoryFlags = Readonly<z.output<z.ZodObject<typeof memoryFields>>>;

/** How a run is opened and started, here on the device of the run, there on one that holds nothing. */
export interface OpenableRun<Run extends object> {
  /** Loads models and gives them to the trainer with its data. */
  readonly open: (device: Device) => Promise<Run>;
  readonly start: (run: Run) => AsyncIterable<TrainingStep> | Promise<AsyncIterable<TrainingStep>>;
}

/**
 * The options that make the run fit: none, or with `--auto-find-batch-size` those found. Undefined where `--plan` was all that was asked for: the plan
 * is on standard output then. Throws OutOfMemoryError for a run that would not come to its end.
 */
export async function fitRun<Run extends object>(
  options: MemoryFlags,
  device: Device,
  { open, start }: OpenableRun<Run>,
): Promise<FittedOptions | undefined> {
  const request = {
    device: device.info,
    createDryDevice,
    train: start,
    options: async (dry: Device) => ({ ...options, ...(await open(dry)) }),
  };
  if (options.autoFindBatchSize) {
    const { plan, options: fitted } = await fitMemory(request);
    const { maxTokensPerMicroBatch, gradientCheckpointing } = fitted;
    const words = [
      ...(maxTokensPerMicroBatch === undefined ? [] : [`--max-tokens-per-micro-batch ${maxTokensPerMicroBatch}`]),
      ...(gradientCheckpointing ? ["--gradient-checkpointing"] : []),
    ];
    if (options.plan) console.log(formatMemoryPlan(plan));
    if (words.length > 0) console.log(`To fit ${formatBytes(plan.budgetBytes as number)}: ${words.join(" ")}`);
    return options.plan ? undefined : fitted;
  }
  if (options.plan) {
    const plan = await planMemory(request);
    console.log(formatMemoryPlan(plan));
    if (plan.fits) return undefined;
  }
  if (device.info.memoryBytes !== undefined) await requireMemory(request);
  return {};
}
