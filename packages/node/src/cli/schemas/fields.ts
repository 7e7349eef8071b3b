/** Options that several commands share: names, types, limits, help text. Names are TRL's; where a default differs from TRL's, the text says why. */
import { z } from "zod";

export const count = () => z.number().int().min(1);
export const seconds = () => z.number().positive();
export const fraction = () => z.number().min(0).max(1);
export const path = () => z.string().min(1);

export const deviceFields = {
  device: z
    .enum(["auto", "webgpu", "wasm", "reference"])
    .default("auto")
    .describe("where to compute: auto takes a hardware GPU, else wasm"),
  threads: count().optional().describe("threads of the wasm device; default: one per core"),
  seed: z.number().int().min(0).default(42).describe("seed of every random draw"),
};

export const modelField = {
  modelNameOrPath: path().meta({ description: "model directory, or org/name on the Hugging Face hub", aliases: ["model"] }),
  modelRevision: path()
    .optional()
    .meta({ description: "branch, tag or commit of a model on the hub; default: main", aliases: ["revision"] }),
};
export const datasetField = (what: string) => ({
  datasetName: path().meta({ description: `${what} (.jsonl, .json or .txt, also .gz)`, aliases: ["dataset"] }),
});

/** Commands that write one dataset. */
export const outputFileField = { output: path().describe("file to write (.jsonl, also .gz); it appears whole or not at all") };

export const outputFields = {
  outputDir: path().meta({ description: "where the model, checkpoints, metrics.jsonl and report.html go", aliases: ["output"] }),
  overwriteOutputDir: z.boolean().default(false).describe("start anew where the output directory already holds a run"),
  resumeFromCheckpoint: z
    .union([z.boolean(), path()])
    .default(false)
    .describe("continue from a checkpoint directory, or alone: from the output directory's latest"),
  saveSteps: z.number().int().min(0).default(500).describe("steps between checkpoints; 0 saves only at the end"),
  saveTotalLimit: count().optional().describe("keep only this many checkpoints; default: all"),
  loggingSteps: count().default(1).describe("steps per row of metrics.jsonl (TRL: 10; rows in a local file are cheap)"),
  report: z.boolean().default(true).describe("write report.html at the end"),
  profile: z.boolean().default(false).describe("time every op: print where a step's time goes, and draw it in report.html"),
};

/** What frozen linear layers are kept in, under the names of TRL's ModelConfig. */
export const precisionFields = {
  dtype: z
    .enum(["float32", "float16", "bfloat16"])
    .optional()
    .describe("what linear layers are kept in; below float32 they are frozen, under an adapter or for inference; default: float32"),
  loadIn8bit: z.boolean().default(false).describe("keep frozen linear layers in 8 bits"),
  loadIn4bit: z.boolean().default(false).describe("keep frozen linear layers in 4 bits; with --use-peft this is QLoRA"),
  bnb4bitQuantType: z.enum(["nf4", "int4"]).optional().describe("which 4 bits; default: nf4 (TRL also has fp4, which is not supported)"),
};

/** An adapter instead of all weights, under the names of TRL's ModelConfig. */
export const peftFields = {
  ...precisionFields,
  usePeft: z.boolean().default(false).describe("train a low-rank adapter; the output is the adapter alone"),
  loraR: count().default(16).describe("rank of the adapter"),
  loraAlpha: z.number().positive().default(32).describe("the adapter's update is scaled by alpha / r"),
  loraDropout: z.number().min(0).lt(1).default(0.05).describe("share of an adapter's inputs left out while training"),
  loraTargetModules: z
    .array(z.string().min(1))
    .optional()
    .describe("linear layers to adapt, by the ends of their names, or all-linear; default: q_proj and v_proj, or what holds them"),
  loraModulesToSave: z
    .array(z.string().min(1))
    .optional()
    .describe("other modules trained whole beside the adapter, e.g. lm_head; default: the score head of a reward model"),
  useRslora: z.boolean().default(false).describe("scale by alpha over the root of r"),
  useDora: z.boolean().default(false).describe("train magnitudes apart from directions"),
};

const UNITS = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 } as const;

/** Bytes as people write them: 2GB, 1.5 GiB, 800000000. */
const bytes = () =>
  z
    .string()
    .regex(/^\d+(\.\d+)?\s*([kmg]i?)?b?$/i, "must be a size such as 2GB or 1.5GiB")
    .transform((text) => {
      const [, amount, unit] = /^([\d.]+)\s*(.*)$/.exec(text.toLowerCase()) as unknown as [string, string, string];
      return Math.floor(Number(amount) * UNITS[(unit.endsWith("b") ? unit : `${unit}b`) as keyof typeof UNITS]);
    });

/** What a run may take. */
export const memoryFields = {
  plan: z.boolean().default(false).describe("print how much memory the run will take, and stop before anything is loaded"),
  memoryBudget: bytes().optional().describe("memory that may be used, e.g. 2GB; default: all that the device has"),
  autoFindBatchSize: z
    .boolean()
    .default(false)
    .describe("take the largest micro-batches that fit, and recompute activations where that is not enough"),
  maxTokensPerMicroBatch: count().optional().describe("split micro-batches of more tokens; the result stays the same; default: no bound"),
};

/** Optimiser, schedule and batch: common to all trainers; `learningRate` differs. */
export const trainingFields = (learningRate: number) => ({
  ...memoryFields,
  learningRate: z.number().min(0).default(learningRate).describe("peak learning rate of AdamW"),
  perDeviceTrainBatchSize: count().default(8).describe("rows per micro-batch"),
  gradientAccumulationSteps: count().default(1).describe("micro-batches per optimiser step"),
  numTrainEpochs: z.number().positive().default(3).describe("passes over the dataset; ignored where --max-steps is given"),
  maxSteps: count().optional().describe("optimiser steps in all"),
  lrSchedulerType: z
    .enum([
      "constant",
      "constant_with_warmup",
      "linear",
      "cosine",
      "cosine_with_restarts",
      "cosine_with_min_lr",
      "inverse_sqrt",
      "polynomial",
    ])
    .default("linear")
    .describe("learning-rate schedule"),
  warmupSteps: z.number().int().min(0).default(0).describe("steps of linear warm-up"),
  warmupRatio: fraction().default(0).describe("warm-up as a share of all steps, where --warmup-steps is 0"),
  weightDecay: z.number().min(0).default(0).describe("decoupled weight decay of matrices"),
  maxGradNorm: z.number().min(0).default(1).describe("largest global gradient norm; 0 does not clip"),
  adamBeta1: z.number().min(0).lt(1).default(0.9).describe("decay of AdamW's first moment"),
  adamBeta2: z.number().min(0).lt(1).default(0.999).describe("decay of AdamW's second moment"),
  adamEpsilon: z.number().positive().default(1e-8).describe("AdamW's epsilon"),
  optim: z
    .enum(["adamw_torch", "adamw_8bit"])
    .default("adamw_torch")
    .describe("optimiser; adamw_8bit keeps its moments in a quarter of the memory"),
  gradientCheckpointing: z
    .boolean()
    .default(false)
    .describe("recompute activations to save memory (TRL: true; memory is rarely short at this size)"),
});

export const samplingFields = {
  temperature: z.number().min(0).default(1).describe("sampling temperature; 0 is greedy"),
  topK: z.number().int().min(0).default(0).describe("sample among the k most likely tokens; 0 is off"),
  topP: z.number().gt(0).max(1).default(1).describe("sample among the most likely tokens holding this probability; 1 is off"),
  minP: fraction().default(0).describe("sample among tokens at least this fraction as likely as the likeliest; 0 is off"),
  repetitionPenalty: z.number().positive().default(1).describe("divides positive logits of tokens already there; 1 is off"),
};

export const supervisedFields = {
  datasetTextField: z.string().default("text").describe("column that holds the text"),
  packing: z.boolean().default(false).describe("fill rows of --max-length with several sequences"),
  packingStrategy: z.enum(["bfd", "bfd_split", "wrapped"]).default("bfd").describe("how sequences share rows"),
  shuffleDataset: z.boolean().default(true).describe("visit the rows in a seeded random order"),
};

export const promptsField = datasetField("dataset with a `prompt` column; other columns go to the reward functions");

/** A multi-turn environment instead of single completions. */
export const environmentFields = {
  environment: path().optional().describe("play in an environment: guess, calculator, or a module's factory (path#export)"),
  environmentTimeout: seconds().default(60).describe("seconds one call of an asynchronous environment may take"),
  maxTurns: count().default(16).describe("most actions of an episode"),
  maxActionTokens: count().optional().describe("longest action; default: what --max-completion-length leaves"),
  maxObservationTokens: count().optional().describe("longest observation; the rest is cut off; default: no limit"),
};

/** A judge of pairs: a model here, or an endpoint with its key. */
export const judgeFields = (what: string) => ({
  judge: path().optional().describe(`${what}: a model (directory or org/name), or the URL of an OpenAI-compatible endpoint`),
  judgeModel: z.string().min(1).optional().describe("name of the endpoint's model"),
  judgeApiKeyVariable: z.string().min(1).optional().describe("environment variable with the endpoint's key; default: no key"),
});

/** Rewards, sampling and rounds: common to the trainers that sample. */
export const rolloutFields = (defaults: { readonly learningRate: number; readonly numGenerations: number; readonly least: number }) => ({
  rewardFuncs: z.array(path()).default([]).describe("modules of reward functions (.js, .mjs, .ts), or path#export"),
  rewardWeights: z.array(z.number()).optional().describe("weight of each reward function, separated by commas; default: 1 each"),
  rewardTimeout: seconds().default(60).describe("seconds one reward call may take before the run is stopped"),
  onRewardError: z.enum(["throw", "skip"]).default("throw").describe("what a throwing reward does: stop the run, or count as null"),
  rewardModel: path()
    .optional()
    .meta({
      description: "model with a score head (directory or org/name), one more reward",
      aliases: ["reward-model-path", "reward-model-name-or-path"],
    }),
  ...environmentFields,
  ...trainingFields(defaults.learningRate),
  ...peftFields,
  numGenerations: z.number().int().min(defaults.least).default(defaults.numGenerations).describe("completions per prompt"),
  maxCompletionLength: count()
    .optional()
    .describe("longest completion in tokens; default: 512, or half of the context where that is shorter"),
  ...samplingFields,
  numIterations: count().default(1).describe("updates on each batch of completions"),
  stepsPerGeneration: count().optional().describe("optimiser micro-batches per generation; default: --gradient-accumulation-steps"),
  maskTruncatedCompletions: z.boolean().default(false).describe("leave completions that did not end out of the loss"),
  shuffleDataset: z.boolean().default(true).describe("visit the prompts in a seeded random order"),
});

/** A reference model that may follow the policy. */
export const referenceFields = {
  syncRefModel: z.boolean().default(false).describe("move the reference towards the policy"),
  refModelMixupAlpha: z.number().gt(0).max(1).optional().describe("share of the policy in such a move; 1 replaces; default: 0.6"),
  refModelSyncSteps: count().optional().describe("steps between two moves; default: 512"),
};
