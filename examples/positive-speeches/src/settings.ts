/** The sizes of the experiment, and the few flags that change them. */
import { parseArgs } from "node:util";
import type { Device, DeviceChoice } from "@trimtab/node";

export interface Settings {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Context, and the length of pretraining rows, in tokens. */
  readonly context: number;
  readonly pretrainSteps: number;
  readonly pretrainRows: number;
  readonly grpoSteps: number;
  readonly promptsPerStep: number;
  readonly generations: number;
  readonly completionLength: number;
  readonly heldOutPrompts: number;
}

/** About a minute each of pretraining and GRPO on two CPU cores. */
const FULL: Settings = {
  vocabSize: 1024,
  hiddenSize: 128,
  intermediateSize: 352,
  layers: 3,
  heads: 4,
  context: 128,
  pretrainSteps: 300,
  pretrainRows: 8,
  grpoSteps: 40,
  promptsPerStep: 16,
  generations: 8,
  completionLength: 32,
  heldOutPrompts: 256,
};

/** The same experiment for a GPU that is emulated on the CPU, some ten times slower. */
const SMALL: Settings = {
  ...FULL,
  hiddenSize: 64,
  intermediateSize: 160,
  layers: 2,
  heads: 2,
  pretrainSteps: 120,
  grpoSteps: 12,
  promptsPerStep: 8,
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

/** Reads the command line. */
export function readFlags(argv: readonly string[]): Flags {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      device: { type: "string", default: "wasm" },
      threads: { type: "string" },
      seed: { type: "string", default: "1" },
      output: { type: "string", default: "runs/positive-speeches" },
      "pretrain-steps": { type: "string" },
      steps: { type: "string" },
      small: { type: "boolean", default: false },
    },
  });
  const count = (name: string, text: string | undefined) => {
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0) throw new RangeError(`--${name}: it must be a whole number, got ${text}.`);
    return value;
  };
  return {
    device: values.device as DeviceChoice,
    threads: count("threads", values.threads),
    seed: count("seed", values.seed) as number,
    output: values.output,
    pretrainSteps: count("pretrain-steps", values["pretrain-steps"]),
    steps: count("steps", values.steps),
    small: values.small,
  };
}

/** The sizes for a device, with the flags applied. */
export function settingsFor(device: Device, flags: Flags): Settings {
  const base = flags.small || device.info.software ? SMALL : FULL;
  return { ...base, pretrainSteps: flags.pretrainSteps ?? base.pretrainSteps, grpoSteps: flags.steps ?? base.grpoSteps };
}
