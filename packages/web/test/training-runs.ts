/**
 * Small runs of SFT, GRPO and DPO from fixed seeds, with a tokenizer trained in place: by the library's own calls on a device, and by an engine. What
 * they log, write and end with is comparable bit for bit.
 */
import {
  type Device,
  dpo,
  type Engine,
  type FileContents,
  grpo,
  type LanguageModel,
  type Metrics,
  newLanguageModel,
  type RewardFunction,
  saveLanguageModel,
  sft,
  Tokenizer,
} from "@trimtab/core";

/** Everything that a run says about itself. */
export interface RunRecord {
  /** Of every step, without times. */
  readonly metrics: readonly Metrics[];
  /** What a sampling trainer wrote, in order. */
  readonly completions: readonly string[];
  /** FNV-1a of every file of the trained model: weights, tokenizer, configuration. */
  readonly files: Readonly<Record<string, string>>;
}

export const RUNS = ["sft", "grpo", "dpo"] as const;
export type RunName = (typeof RUNS)[number];

const LINES = [
  "the wind turns the mill and the mill grinds the corn",
  "a small tab on the rudder turns the rudder",
  "the rudder turns the ship and the ship turns home",
  "corn and wind and rain make bread in the end",
  "rain on the sail and wind on the stern",
  "the ship comes home before the rain",
];

const MODEL = { shape: { hiddenSize: 32, layers: 2, heads: 4, kvHeads: 2 }, texts: LINES, vocabSize: 300, seed: 11 } as const;

/** Higher for lower-case letters and spaces, with the length as a tie-breaker. */
const plainLetters: RewardFunction = ({ completions }) =>
  completions.map((completion) => {
    const text = String(completion);
    return (text.match(/[a-z ]/g)?.length ?? 0) / Math.max(1, text.length) + text.length / 1000;
  });

const OPTIONS = {
  sft: { dataset: LINES.map((text) => ({ text })), learningRate: 3e-3, perDeviceTrainBatchSize: 3, maxSteps: 6, seed: 7 },
  grpo: {
    prompts: LINES.map((line) => ({ prompt: line.slice(0, 8) })),
    rewards: plainLetters,
    numGenerations: 4,
    perDeviceTrainBatchSize: 8,
    maxCompletionLength: 8,
    beta: 0.05,
    topP: 0.95,
    learningRate: 3e-3,
    maxSteps: 3,
    seed: 7,
  },
  dpo: {
    dataset: LINES.map((line) => ({ prompt: line.slice(0, 12), chosen: line.slice(12), rejected: line.slice(12).toUpperCase() })),
    learningRate: 3e-3,
    perDeviceTrainBatchSize: 3,
    maxSteps: 4,
    seed: 7,
  },
} as const;

interface Step {
  readonly metrics: Metrics;
  readonly completions?: readonly { readonly completion: unknown }[];
}

const trainers: Readonly<Record<RunName, (model: LanguageModel) => AsyncIterable<Step>>> = {
  sft: (model) => sft({ model, ...OPTIONS.sft }),
  grpo: (model) => grpo({ model, ...OPTIONS.grpo }),
  dpo: (model) => dpo({ model, ...OPTIONS.dpo }),
};

/** Trains with the library's own calls. */
export async function runOnDevice(device: Device, name: RunName): Promise<RunRecord> {
  const tokenizer = Tokenizer.train(MODEL.texts, { vocabSize: MODEL.vocabSize });
  const model = newLanguageModel(device, MODEL.shape, tokenizer, MODEL.seed);
  const metrics: Metrics[] = [];
  const completions: string[] = [];
  for await (const step of trainers[name](model)) {
    metrics.push(withoutTimes(step.metrics));
    completions.push(...(step.completions ?? []).map(({ completion }) => String(completion)));
  }
  const files: Record<string, string> = {};
  await saveLanguageModel(model, {
    path: "memory",
    async write(contents) {
      for (const [file, content] of contents) files[file] = await hash(content);
    },
  });
  model.decoder.dispose();
  return { metrics, completions, files };
}

/** Trains on an engine. */
export async function runOnEngine<Place>(engine: Engine<Place>, name: RunName): Promise<RunRecord> {
  const model = await engine.newModel(MODEL);
  const metrics: Metrics[] = [];
  const completions: string[] = [];
  for await (const step of await engine.train(name, { model, ...OPTIONS[name] })) {
    metrics.push(withoutTimes(step.metrics));
    completions.push(...step.samples.map(({ completion }) => completion));
  }
  const files: Record<string, string> = {};
  for (const [file, bytes] of await model.files()) files[file] = await hash(bytes);
  await model.dispose();
  return { metrics, completions, files };
}

function withoutTimes(metrics: Metrics): Metrics {
  return Object.fromEntries(Object.entries(metrics).filter(([name]) => !name.includes("time")));
}

async function hash(contents: FileContents): Promise<string> {
  const parts =
    typeof contents === "string" ? [new TextEncoder().encode(contents)] : contents instanceof Uint8Array ? [contents] : contents;
  let hash = 0x811c9dc5;
  for await (const part of parts) for (const byte of part) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16);
}
