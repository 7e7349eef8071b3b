/** The sizes of the RLHF experiment, and its flags. */
import { parseArgs } from "node:util";
import type { Device } from "@trimtab/node";
import { type Flags, flagOptions, flagsOf, type PretrainingSettings, settingsFor, wholeNumber } from "./settings";

export interface RlhfSettings {
  /** Pairs that the judge compares, the held-out ones included. */
  readonly comparisons: number;
  /** Completions per prompt and temperature that pairs are made of. */
  readonly samplesPerTemperature: number;
  readonly sampleTemperatures: readonly number[];
  /** Reward difference at which the judge picks the better text with a chance of 0.73. */
  readonly judgeNoise: number;
  /** Share of the prompts whose comparisons the reward model does not see. */
  readonly heldOutShare: number;
  readonly rewardEpochs: number;
  readonly rewardPairs: number;
  readonly rewardLearningRate: number;
  /** Samples of the base model on which the reward model's scores get mean 0 and standard deviation 1. */
  readonly normalisationSamples: number;
  /** Rounds of PPO with the price of KL under control. */
  readonly rounds: number;
  /** Rounds of PPO with KL for free. */
  readonly freeRounds: number;
  readonly completions: number;
  readonly epochs: number;
  readonly learningRate: number;
  readonly valueLearningRate: number;
  readonly klCoef: number;
  /** In nats per completion. */
  readonly klTarget: number;
  readonly klHorizon: number;
  readonly completionLength: number;
  readonly temperature: number;
  /** Rounds between two measurements on held-out prompts. */
  readonly measureEvery: number;
  readonly heldOutPrompts: number;
}

/** About a minute and a half on two CPU cores. */
const FULL: RlhfSettings = {
  comparisons: 1500,
  samplesPerTemperature: 2,
  sampleTemperatures: [0.7, 1],
  judgeNoise: 1,
  heldOutShare: 0.15,
  rewardEpochs: 2,
  rewardPairs: 16,
  rewardLearningRate: 2e-3,
  normalisationSamples: 256,
  rounds: 20,
  freeRounds: 30,
  completions: 128,
  epochs: 2,
  learningRate: 1e-3,
  valueLearningRate: 2e-3,
  klCoef: 0.1,
  klTarget: 4,
  klHorizon: 400,
  completionLength: 24,
  temperature: 0.8,
  measureEvery: 5,
  heldOutPrompts: 256,
};

/** For a look at every step: too short to learn much. */
const SMALL: RlhfSettings = { ...FULL, comparisons: 600, rounds: 8, freeRounds: 12 };

export interface RlhfFlags extends Flags {
  readonly comparisons: number | undefined;
}

/** Reads the command line. */
export function readRlhfFlags(argv: readonly string[]): RlhfFlags {
  const { values } = parseArgs({ args: [...argv], options: { ...flagOptions, comparisons: { type: "string" } } });
  return { ...flagsOf(values), comparisons: wholeNumber("comparisons", values.comparisons) };
}

/**
 * The sizes for a device, with the flags applied. The base is always the small one: a thousand comparisons teach a reward model on a larger base, with
 * more words to know, next to nothing. `steps` rounds with control, and half as many again without.
 */
export function rlhfSettingsFor(device: Device, flags: RlhfFlags): RlhfSettings & { readonly base: PretrainingSettings } {
  const sizes = flags.small || device.info.software ? SMALL : FULL;
  const { comparisons = sizes.comparisons, steps: rounds = sizes.rounds } = flags;
  const freeRounds = flags.steps === undefined ? sizes.freeRounds : Math.ceil(1.5 * rounds);
  return { ...sizes, comparisons, rounds, freeRounds, base: settingsFor(device, { ...flags, small: true }) };
}
