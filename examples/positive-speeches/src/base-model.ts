/** The language model that both programs start from: a tokenizer and a small decoder, trained on the speeches. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Device,
  evaluateLoss,
  evaluationSequences,
  type LanguageModel,
  loadModel,
  MetricsLog,
  newLanguageModel,
  saveModel,
  sft,
  startProgress,
  Tokenizer,
} from "@trimtab/node";
import type { PretrainingSettings } from "./settings";
import type { Speeches } from "./speeches";

export interface BaseModel {
  readonly model: LanguageModel;
  /** Of text held out. */
  readonly bitsPerByte: number;
}

/** Trains a tokenizer and a model that has never seen a word, writing metrics below `output`. The caller disposes of the decoder. */
export async function pretrain(
  device: Device,
  speeches: Speeches,
  settings: PretrainingSettings,
  seed: number,
  output: string,
): Promise<BaseModel & { readonly log: MetricsLog }> {
  const text = speeches.training.map((speech) => speech.text);
  const tokenizer = Tokenizer.train(text, { vocabSize: settings.vocabSize });
  const characters = text.reduce((sum, t) => sum + t.length, 0);
  console.log(
    `${text.length} speeches, ${(characters / 1e6).toFixed(1)} million characters; ${speeches.heldOut.length} speeches held out; ${tokenizer.vocabSize} tokens.`,
  );

  const { hiddenSize, intermediateSize, layers, heads, initializerRange, context } = settings;
  const model = newLanguageModel(
    device,
    { hiddenSize, intermediateSize, layers, heads, initializerRange, maxPositions: context },
    tokenizer,
    seed,
  );
  console.log(`A model of ${(model.decoder.parameters.count / 1e6).toFixed(2)} million parameters.\n`);

  const log = new MetricsLog(join(output, "pretraining"));
  const progress = startProgress({ label: "Pretraining", total: settings.pretrainSteps });
  const reading = sft({
    model,
    dataset: text.map((t) => ({ text: t })),
    packing: true,
    packingStrategy: "wrapped",
    maxLength: context,
    maxSteps: settings.pretrainSteps,
    perDeviceTrainBatchSize: settings.pretrainRows,
    learningRate: settings.pretrainLearningRate,
    lrSchedulerType: "cosine",
    warmupRatio: 0.05,
    weightDecay: 0.1,
    adamBeta2: 0.95,
    seed,
  });
  for await (const { step, metrics } of reading) {
    log.add({ ...metrics, step });
    progress.update(step, `loss ${metrics.loss?.toFixed(3)}`);
  }
  progress.stop();
  const heldOut = evaluationSequences(
    speeches.heldOut
      .map((speech) => speech.text)
      .join(" ")
      .slice(0, 100_000),
    tokenizer,
    context,
  );
  const { bitsPerByte = Number.NaN } = await evaluateLoss({ model, ...heldOut });
  console.log(`Held-out text: ${bitsPerByte.toFixed(3)} bits per byte.\n`);
  return { model, bitsPerByte, log };
}

/** The model kept in `output`/base where it was trained in the same way with the same seed; else a new one, which is kept there. */
export async function openBase(
  device: Device,
  speeches: Speeches,
  settings: PretrainingSettings,
  seed: number,
  output: string,
): Promise<BaseModel> {
  const { vocabSize, hiddenSize, intermediateSize, layers, heads, initializerRange, context } = settings;
  const { pretrainSteps, pretrainRows, pretrainLearningRate } = settings;
  const sizes = { vocabSize, hiddenSize, intermediateSize, layers, heads, initializerRange, context };
  const recipe = JSON.stringify({ seed, ...sizes, pretrainSteps, pretrainRows, pretrainLearningRate });
  const directory = join(output, "base");
  const notes = join(output, "base.json");
  if (existsSync(notes)) {
    const { recipe: kept, bitsPerByte } = JSON.parse(readFileSync(notes, "utf8"));
    if (JSON.stringify(kept) === recipe) {
      console.log(`The base model of an earlier run, from ${directory}: ${bitsPerByte.toFixed(3)} bits per byte.\n`);
      return { model: await loadModel(directory, { device }), bitsPerByte };
    }
  }
  mkdirSync(output, { recursive: true });
  const { model, bitsPerByte } = await pretrain(device, speeches, settings, seed, output);
  await saveModel(model, directory);
  await writeFile(notes, `${JSON.stringify({ recipe: JSON.parse(recipe), bitsPerByte }, null, 2)}\n`);
  return { model, bitsPerByte };
}
