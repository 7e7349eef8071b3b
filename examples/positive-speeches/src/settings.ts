/** The sizes of the experiment, and the few flags that change them. */
import { parseArgs } from "node:util";
import type { Device, DeviceChoice } from "@trimtab/node";

/** What makes the base model. */
export interface PretrainingSettings {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Standard deviation of the first weights: about 1 / sqrt(hiddenSize). */
  readonly initializerRange: number;
  /** Context, and the length of pretraining rows, in tokens. */
  readonly context: number;
  readonly pretrainSteps: number;
  readonly pretrainRows: number;
  readonly pretrainLearningRate: number;
}

export interface Settings extends PretrainingSettings {
  readonly grpoSteps: number;
  /** Updates on each batch of completions. */
  readonly iterations: number;
  readonly grpoLearningRate: number;
  readonly promptsPerStep: number;
  readonly generations: number;
  readonly completionLength: number;
  /** Of sampling, in training and in the verdict. */
  readonly temperature: number;
  /** Weight of the KL to the starting policy. */
  readonly beta: number;
  readonly heldOutPrompts: number;
}

/** About a minute of pretraining and half a minute of GRPO on two CPU cores. */
const FULL: Settings = {
  vocabSize: 4096,
  hiddenSize: 128,
  intermediateSize: 352,
  layers: 3,
  heads: 4,
  initializerRange: 0.08,
  context: 128,
  pretrainSteps: 600,
  pretrainRows: 4,
  pretrainLearningRate: 6e-3,
  grpoSteps: 40,
  iterations: 2,
  grpoLearningRate: 6e-4,
  promptsPerStep: 16,
  generations: 8,
  completionLength: 24,
  temperature: 0.8,
  beta: 0.15,
  heldOutPrompts: 256,
};

/** The same experiment with a model of a fifth of the size, for a GPU that is emulated on the CPU. */
const SMALL: Settings = {
  ...FULL,
  vocabSize: 2048,
  hiddenSize: 64,
  intermediateSize: 176,
  layers: 2,
  heads: 2,
  initializerRange: 0.1,
  pretrainSteps: 200,
  pretrainLearningRate: 1e-2,
  grpoSteps: 20,
  grpoLearningRate: 2e-3,
  promptsPerStep: 8,
  beta: 0.1,
};

export interface Flags {
  readonly device: DeviceChoice;
  readonly threads: number | undefined;
  readonly seed: number;
  readonly output: string;
  readonly pretrainSteps: number | undefined;
  readonly steps: number | undefined;
  readonly small: boolean;
}

/** The options that both programs know, for `parseArgs`. */
export const flagOptions = {
  device: { type: "string", default: "wasm" },
  threads: { type: "string" },
  seed: { type: "string", default: "1" },
  output: { type: "string", default: "runs/positive-speeches" },
  "pretrain-steps": { type: "string" },
  steps: { type: "string" },
  small: { type: "boolean", default: false },
} as const;

/** Reads the command line. */
export function readFlags(argv: readonly string[]): Flags {
  return flagsOf(parseArgs({ args: [...argv], options: flagOptions }).values);
}

/** The flags as numbers. Throws RangeError where one is not a whole number. */
export function flagsOf(values: ReturnType<typeof parseArgs<{ options: typeof flagOptions }>>["values"]): Flags {
  return {
    device: values.device as DeviceChoice,
    threads: wholeNumber("threads", values.threads),
    seed: wholeNumber("seed", values.seed) as number,
    output: values.output,
    pretrainSteps: wholeNumber("pretrain-steps", values["pretrain-steps"]),
    steps: wholeNumber("steps", values.steps),
    small: values.small,
  };
}

/** The number that a flag gives, undefined where it is not given. */
export function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new RangeError(`--${name}: it must be a whole number, got ${text}.`);
  return value;
}

/** The sizes for a device, with the flags applied. */
export function settingsFor(device: Device, flags: Flags): Settings {
  const base = flags.small || device.info.software ? SMALL : FULL;
  return { ...base, pretrainSteps: flags.pretrainSteps ?? base.pretrainSteps, grpoSteps: flags.steps ?? base.grpoSteps };
}
