/** Drives a trainer that learns from a dataset of feedback: what `trimtab dpo`, `kto`, `reward` and their like share. */
import { type DatasetRow, type LanguageModel, newScalarModel, type ScalarModel, scalarModel, type TrainingOptions } from "@trimtab/core";
import { readDataset } from "../datasets";
import { withDevice } from "../device";
import { type ModelFlags, type PeftFlags, withPeft } from "./load-trained-model";
import { loadNamedModel } from "./named-model";
import { baseDtype } from "./precision-flags";
import { openRun } from "./run-directory";
import { type TrainingStep, type TrainOptions, train } from "./train";

/** Options that every such command has. */
export type DatasetOptions = TrainOptions<TrainingStep>["options"] &
  Parameters<typeof openRun>[0] &
  Parameters<typeof withDevice>[0] &
  PeftFlags &
  ModelFlags & { readonly datasetName: string };

/** What the trainer is given besides the command's own options. */
export interface DatasetRun<Model> extends Pick<TrainingOptions, "resume" | "clock"> {
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
  return withDevice(options, async (device) => {
    const run = await openRun(options);
    const model = prepare(
      await loadNamedModel(options.modelNameOrPath, { device, revision: options.modelRevision, dtype: baseDtype(options) }),
    );
    const steps = start({ model, dataset, resume: run.resume, clock: () => performance.now() });
    return train({ command, model, device, steps, run, options });
  });
}
