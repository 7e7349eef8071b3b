/** Drives a trainer that learns from a dataset of feedback: what `trimtab dpo`, `kto`, `reward` and their like share. */
import { type DatasetRow, type LanguageModel, newScalarModel, type ScalarModel, scalarModel } from "@trimtab/core";
import { readDataset } from "../datasets";
import { type PeftFlags, withPeft } from "./load-trained-model";
import { loadModelOf, type ModelFlags } from "./named-model";
import type { TrainingStep } from "./train";
import { type RunOptions, type TrainingFlags, trainOpened } from "./train-opened";

/** Options that every such command has. */
export type DatasetOptions = TrainingFlags & PeftFlags & ModelFlags & { readonly datasetName: string };

/** What the trainer is given besides the command's own options. */
export interface DatasetRun<Model> extends RunOptions {
  readonly model: Model;
  readonly dataset: readonly DatasetRow[];
}

/** Loads dataset and model, trains with `start`, saves, and returns the exit code. */
export function trainOnDataset(
  command: string,
  options: DatasetOptions,
  start: (run: DatasetRun<LanguageModel>) => AsyncIterable<TrainingStep>,
): Promise<number> {
  return trainOn(command, options, (model) => withPeft(model, options), start);
}

/** The same for reward models: a language model gets a new score head, drawn from `seed`; a model with one goes on with it. */
export function trainScalarOnDataset(
  command: string,
  options: DatasetOptions & { readonly seed: number },
  start: (run: DatasetRun<ScalarModel & LanguageModel>) => AsyncIterable<TrainingStep>,
): Promise<number> {
  const scored = (model: LanguageModel) => ({ ...model, ...scalarModel(model) });
  const withHead = (model: LanguageModel) => {
    if (model.decoder.config.head === "score") return scored(withPeft(model, options));
    const made = newScalarModel(model, options.seed);
    model.decoder.dispose();
    return scored(withPeft({ ...model, ...made }, options));
  };
  return trainOn(command, options, withHead, start);
}

async function trainOn<Model extends LanguageModel>(
  command: string,
  options: DatasetOptions,
  prepare: (model: LanguageModel) => Model,
  start: (run: DatasetRun<Model>) => AsyncIterable<TrainingStep>,
): Promise<number> {
  const dataset = await readDataset(options.datasetName);
  return trainOpened(command, options, {
    open: async (device) => ({
      model: prepare(await loadModelOf(options, device)),
      dataset,
    }),
    start,
  });
}
