/** Small runs of SFT, GRPO and DPO from fixed seeds, the same code in Node and in a page: what they log, write and end with. */
import {
  type Device,
  dpo,
  grpo,
  type LanguageModel,
  type Metrics,
  newLanguageModel,
  type RewardFunction,
  sft,
  Tokenizer,
} from "@trimtab/core";

/** Everything that a run says about itself; equal bits in, equal bits out. */
export interface RunRecord {
  /** Of every step. */
  readonly metrics: readonly Metrics[];
  /** What a sampling trainer wrote, in order. */
  readonly completions: readonly string[];
  /** FNV-1a over the bits of all weights at the end. */
  readonly weights: string;
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

/** Higher for lower-case letters and spaces, with the length as a tie-breaker. */
const plainLetters: RewardFunction = ({ completions }) =>
  completions.map((completion) => {
    const text = String(completion);
    return (text.match(/[a-z ]/g)?.length ?? 0) / Math.max(1, text.length) + text.length / 1000;
  });

/** A new model with a tokenizer trained in place, trained for a few steps. */
export async function trainingRun(device: Device, name: RunName): Promise<RunRecord> {
  const tokenizer = Tokenizer.train(LINES, { vocabSize: 300 });
  const model = newLanguageModel(device, { hiddenSize: 48, layers: 2, heads: 4, kvHeads: 2 }, tokenizer, 11);
  const common = { model, learningRate: 3e-3, seed: 7 };
  const metrics: Metrics[] = [];
  const completions: string[] = [];
  switch (name) {
    case "sft":
      for await (const step of sft({ ...common, dataset: LINES.map((text) => ({ text })), perDeviceTrainBatchSize: 3, maxSteps: 8 })) {
        metrics.push(step.metrics);
      }
      break;
    case "grpo":
      for await (const step of grpo({
        ...common,
        prompts: LINES.map((line) => ({ prompt: line.slice(0, 8) })),
        rewards: plainLetters,
        numGenerations: 4,
        perDeviceTrainBatchSize: 8,
        maxCompletionLength: 10,
        beta: 0.05,
        topP: 0.95,
        maxSteps: 4,
      })) {
        metrics.push(step.metrics);
        completions.push(...step.completions.map(({ completion }) => String(completion)));
      }
      break;
    case "dpo": {
      const dataset = LINES.map((line) => ({ prompt: line.slice(0, 12), chosen: line.slice(12), rejected: line.slice(12).toUpperCase() }));
      for await (const step of dpo({ ...common, dataset, perDeviceTrainBatchSize: 3, maxSteps: 4 })) metrics.push(step.metrics);
    }
  }
  const weights = await fingerprint(model);
  model.decoder.dispose();
  return { metrics, completions, weights };
}

async function fingerprint({ decoder }: LanguageModel): Promise<string> {
  let hash = 0x811c9dc5;
  for (const shard of decoder.parameters.shards) {
    const data = await decoder.device.read(shard);
    for (const byte of new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash >>> 0).toString(16);
}
