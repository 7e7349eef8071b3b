/** Options of `trimtab gkd`. */
import { z } from "zod";
import { count, datasetField, deviceFields, fraction, modelField, outputFields, path, peftFields, trainingFields } from "./fields";

export const gkdSchema = z.strictObject({
  ...modelField,
  teacherModelNameOrPath: path().meta({
    description: "model to learn from (directory or org/name), with the same vocabulary",
    aliases: ["teacher"],
  }),
  ...datasetField("dataset of prompts with completions"),
  ...outputFields,
  ...deviceFields,
  ...trainingFields(2e-5),
  ...peftFields,
  temperature: z.number().positive().default(0.9).describe("divides the logits of both models, in sampling and in the loss"),
  lmbda: fraction().default(0.5).describe("probability that a step learns from the model's own completions"),
  beta: fraction().default(0.5).describe("divergence: 0 forward KL, 1 reverse KL, between them Jensen-Shannon"),
  seqKd: z.boolean().default(false).describe("learn from the teacher's completions instead of the dataset's"),
  maxNewTokens: count().default(128).describe("longest sampled completion in tokens"),
  maxLength: count().optional().describe("longest row in tokens; longer ones are cut; default: 1024, or the context where that is shorter"),
  shuffleDataset: z.boolean().default(true).describe("visit the rows in a seeded random order"),
});
