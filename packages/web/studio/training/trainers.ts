/** The trainers that the studio offers: what each is for, what it learns from, and its options with what they mean. */
import type { EngineAlgorithm } from "@trimtab/core";
import type { AdapterSetup } from "../store";

export type OptionValue = number | string | boolean;

export interface OptionField {
  /** TRL's name in camelCase, as the trainer takes it. */
  readonly name: string;
  readonly label: string;
  /** In one line. */
  readonly help: string;
  readonly value: OptionValue;
  /** Of a choice. */
  readonly choices?: readonly (readonly [value: string, label: string])[];
  /** Of a number that may be left out. */
  readonly optional?: boolean;
  readonly advanced?: boolean;
}

export interface Trainer {
  readonly algorithm: EngineAlgorithm;
  readonly title: string;
  readonly summary: string;
  /** What its rows are: prompts that are answered and rewarded, or feedback that was given. */
  readonly learnsFrom: "prompts" | "feedback";
  readonly fields: readonly OptionField[];
}

/**
 * Small models bear, and need, larger steps than the published recipes' billions of parameters. An adapter needs five times the rate to learn as
 * fast as the weights of the bundled model do; large ones bear ten times (Schulman et al., "LoRA Without Regret", 2025).
 */
export function learningRateFor(algorithm: EngineAlgorithm, parameterCount: number, hasAdapter: boolean): number {
  const rate = parameterCount < 2e6 ? 1e-3 : parameterCount < 20e6 ? 3e-4 : parameterCount < 100e6 ? 5e-5 : 1e-5;
  const own = algorithm === "ppo" || algorithm === "grpo" ? rate / 2 : rate;
  return hasAdapter ? 5 * own : own;
}

/** A reward model's score head is new, so that its weights are trained as well. */
export function takesAdapter(algorithm: EngineAlgorithm): boolean {
  return algorithm !== "reward";
}

/** The options of an adapter, under PEFT's names. */
export const ADAPTER_FIELDS: readonly OptionField[] = [
  { name: "r", label: "Rank", help: "Width of the matrices: a higher one can learn more and takes more room.", value: 16 },
  { name: "loraAlpha", label: "Alpha", help: "The adapter counts alpha ÷ rank times.", value: 32 },
  {
    name: "targetModules",
    label: "Layers",
    help: "What the adapter changes.",
    value: "all-linear",
    choices: [
      ["all-linear", "all linear layers"],
      ["query-value", "queries and values"],
    ],
  },
];

/** An adapter in a few words: "adapter of rank 16 and alpha 32 on all linear layers". */
export function adapterText({ r, loraAlpha, targetModules }: AdapterSetup): string {
  return `adapter of rank ${r} and alpha ${loraAlpha} on ${targetModules === "all-linear" ? "all linear layers" : "queries and values"}`;
}

const steps = (value: number): OptionField => ({ name: "maxSteps", label: "Steps", help: "How often the weights are changed.", value });
const learningRate: OptionField = {
  name: "learningRate",
  label: "Learning rate",
  help: "How far each step goes. Curves that jump or rewards that collapse: take less.",
  value: 1e-3,
};
const batch = (help: string, value = 8, label = "Batch"): OptionField => ({ name: "perDeviceTrainBatchSize", label, help, value });
const beta = (help: string, value: number): OptionField => ({ name: "beta", label: "Beta", help, value });

const optimiser: readonly OptionField[] = [
  {
    name: "lrSchedulerType",
    label: "Schedule",
    help: "How the learning rate changes over the run.",
    value: "linear",
    choices: [
      ["linear", "falls in a line"],
      ["cosine", "falls in a cosine"],
      ["constant", "stays"],
    ],
    advanced: true,
  },
  { name: "warmupRatio", label: "Warm-up", help: "Share of the steps in which the rate rises from 0.", value: 0, advanced: true },
  { name: "weightDecay", label: "Weight decay", help: "Pulls matrices towards 0, against overfitting.", value: 0, advanced: true },
  { name: "maxGradNorm", label: "Gradient clip", help: "Longest gradient; 0 does not clip.", value: 1, advanced: true },
  {
    name: "gradientAccumulationSteps",
    label: "Accumulation",
    help: "Batches per step, where one large one does not fit memory.",
    value: 1,
    advanced: true,
  },
  { name: "seed", label: "Seed", help: "Of every random draw: the same seed, the same run.", value: 42, advanced: true },
];
const maxLength: OptionField = {
  name: "maxLength",
  label: "Longest row",
  help: "Tokens of prompt and completion together; empty: what the model can take, at most 1024.",
  value: "",
  optional: true,
  advanced: true,
};

const sampling: readonly OptionField[] = [
  {
    name: "maxCompletionLength",
    label: "Completion length",
    help: "Most tokens of a completion: as short as the task allows, it sets the time of a step.",
    value: 32,
  },
  { name: "temperature", label: "Temperature", help: "Of sampling: higher tries more.", value: 1 },
];
const moreSampling: readonly OptionField[] = [
  {
    name: "maskTruncatedCompletions",
    label: "Ignore what was cut short",
    help: "Completions that hit the length limit teach nothing.",
    value: false,
    advanced: true,
  },
];

export const TRAINERS: readonly Trainer[] = [
  {
    algorithm: "reward",
    title: "Reward model",
    summary: "Learns to score completions as you did. PPO and GRPO can then be rewarded by it.",
    learnsFrom: "feedback",
    fields: [steps(60), learningRate, batch("Comparisons, or completions, per step."), maxLength, ...optimiser],
  },
  {
    algorithm: "dpo",
    title: "DPO",
    summary: "Learns from pairs directly: the better completion becomes likelier, the worse one less likely.",
    learnsFrom: "feedback",
    fields: [
      steps(60),
      learningRate,
      batch("Pairs per step."),
      beta("How strongly the model is held to where it started: 0.1 usually, less lets it go further.", 0.1),
      {
        name: "lossType",
        label: "Loss",
        help: "What is minimised on the gap between the two log-ratios.",
        value: "sigmoid",
        choices: [
          ["sigmoid", "sigmoid (DPO)"],
          ["ipo", "squared distance (IPO)"],
          ["hinge", "hinge (SLiC)"],
          ["robust", "robust to wrong labels"],
          ["apo_zero", "anchored (APO-zero)"],
          ["sigmoid_norm", "sigmoid by length"],
        ],
        advanced: true,
      },
      {
        name: "labelSmoothing",
        label: "Label noise",
        help: "Share of pairs that may be the wrong way round, for sigmoid and robust.",
        value: 0,
        advanced: true,
      },
      maxLength,
      ...optimiser,
    ],
  },
  {
    algorithm: "kto",
    title: "KTO",
    summary: "Learns from completions that are each good or bad: thumbs, without pairs.",
    learnsFrom: "feedback",
    fields: [
      steps(60),
      learningRate,
      batch("Completions per step."),
      beta("How strongly the model is held to where it started: 0.1 usually.", 0.1),
      { name: "desirableWeight", label: "Weight of good ones", help: "Raise it where good ones are rare.", value: 1, advanced: true },
      { name: "undesirableWeight", label: "Weight of bad ones", help: "Raise it where bad ones are rare.", value: 1, advanced: true },
      maxLength,
      ...optimiser,
    ],
  },
  {
    algorithm: "orpo",
    title: "ORPO",
    summary: "Imitates the better completion and leaves the worse one, in one loss; needs no reference, so half the memory.",
    learnsFrom: "feedback",
    fields: [
      steps(60),
      learningRate,
      batch("Pairs per step."),
      beta("Weight of the preference beside the imitation.", 0.1),
      maxLength,
      ...optimiser,
    ],
  },
  {
    algorithm: "sft",
    title: "Imitation (SFT)",
    summary: "Learns to write what you wrote: demonstrations and corrections.",
    learnsFrom: "feedback",
    fields: [steps(60), learningRate, batch("Completions per step."), maxLength, ...optimiser],
  },
  {
    algorithm: "grpo",
    title: "GRPO",
    summary: "Writes several completions of each prompt and makes those likelier that earn more than the others.",
    learnsFrom: "prompts",
    fields: [
      steps(60),
      learningRate,
      { name: "numGenerations", label: "Group size", help: "Completions of each prompt that are compared with one another.", value: 8 },
      batch("A multiple of the group size.", 32, "Completions per step"),
      ...sampling,
      beta("Price of KL to the starting model. 0 lets the reward have its way; 0.01 to 0.1 keeps the language.", 0.04),
      {
        name: "lossType",
        label: "Loss",
        help: "How token losses are averaged.",
        value: "dapo",
        choices: [
          ["dapo", "over all tokens (DAPO)"],
          ["grpo", "by completion (GRPO)"],
          ["dr_grpo", "by the longest length (Dr. GRPO)"],
          ["bnpo", "over the step's tokens (BNPO)"],
          ["cispo", "clipped weights (CISPO)"],
        ],
        advanced: true,
      },
      {
        name: "scaleRewards",
        label: "Scale rewards",
        help: "Which standard deviation divides the advantages.",
        value: "group",
        choices: [
          ["group", "of the group"],
          ["batch", "of the step"],
          ["none", "none (Dr. GRPO)"],
        ],
        advanced: true,
      },
      { name: "numIterations", label: "Passes", help: "How often the same completions are learned from.", value: 1, advanced: true },
      {
        name: "epsilon",
        label: "Clip range",
        help: "How far a token's probability may move on the same completions.",
        value: 0.2,
        advanced: true,
      },
      {
        name: "entropyCoef",
        label: "Entropy bonus",
        help: "Small and positive against collapse onto a few answers.",
        value: 0,
        advanced: true,
      },
      ...moreSampling,
      ...optimiser,
    ],
  },
  {
    algorithm: "ppo",
    title: "PPO",
    summary: "Classic RLHF: a value model says what each token was worth, and distance to the start has a price.",
    learnsFrom: "prompts",
    fields: [
      steps(60),
      learningRate,
      batch("Completions that each step learns from.", 32, "Completions per step"),
      ...sampling,
      { name: "klCoef", label: "Price of KL", help: "Reward that a nat of distance to the starting model costs.", value: 0.05 },
      {
        name: "klTarget",
        label: "KL target",
        help: "Nats per completion at which the price is steered; empty: it stays.",
        value: "",
        optional: true,
        advanced: true,
      },
      { name: "numPpoEpochs", label: "Passes", help: "How often the same completions are learned from.", value: 2, advanced: true },
      {
        name: "valueModel",
        label: "Value model",
        help: "A model of its own, or a head on the same trunk for half the memory.",
        value: "separate",
        choices: [
          ["separate", "of its own"],
          ["shared", "on the same trunk"],
        ],
        advanced: true,
      },
      {
        name: "cliprange",
        label: "Clip range",
        help: "How far a token's probability may move on the same completions.",
        value: 0.2,
        advanced: true,
      },
      { name: "gamma", label: "Discount", help: "What a later token's reward is worth now.", value: 1, advanced: true },
      {
        name: "lam",
        label: "Lambda",
        help: "Of the advantage estimate: 1 trusts what happened, 0 the value model.",
        value: 0.95,
        advanced: true,
      },
      ...moreSampling,
      ...optimiser,
    ],
  },
];

export function trainerOf(algorithm: EngineAlgorithm): Trainer | undefined {
  return TRAINERS.find((trainer) => trainer.algorithm === algorithm);
}

/** Options that every run of an algorithm gets beside those of the form: KL is worth knowing even where it has no price. */
export function standingOptions(algorithm: EngineAlgorithm): Readonly<Record<string, OptionValue>> {
  return algorithm === "grpo" || algorithm === "ppo" ? { logKl: true } : {};
}
