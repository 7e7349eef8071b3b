/** Options that the trainers on feedback share: lengths and the reference. */
import { z } from "zod";
import { count, datasetField, deviceFields, modelField, outputFields, peftFields, referenceFields, trainingFields } from "./fields";

/** Model, dataset, output, device, optimiser. */
export const feedbackFields = (dataset: string, learningRate: number) => ({
  ...modelField,
  ...datasetField(dataset),
  ...outputFields,
  ...deviceFields,
  ...trainingFields(learningRate),
  ...peftFields,
  maxLength: count().optional().describe("longest prompt with completion in tokens; default: 1024, or the context where that is shorter"),
  shuffleDataset: z.boolean().default(true).describe("visit the rows in a seeded random order"),
});

export const truncationField = {
  truncationMode: z.enum(["keep_start", "keep_end"]).default("keep_start").describe("which end of a longer one stays"),
};

/** A reference that is frozen, moving, or asked once beforehand. */
export const referenceLogpsFields = {
  ...referenceFields,
  precomputeRefLogProbs: z
    .boolean()
    .default(false)
    .describe("ask the reference about the whole dataset before training: one model in memory"),
};

export const PREFERENCES = "dataset of preferences: `prompt`, `chosen` and `rejected`";
export const UNPAIRED = "dataset of `prompt`, `completion` and `label` (true: good), or of preferences";
