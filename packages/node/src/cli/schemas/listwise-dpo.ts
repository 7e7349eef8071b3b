/** Options of `trimtab listwise-dpo`. */
import { z } from "zod";
import { count, datasetField, deviceFields, modelField, outputFields, peftFields, referenceFields, trainingFields } from "./fields";

export const listwiseDpoSchema = z.strictObject({
  ...modelField,
  ...datasetField("dataset of ranked lists: `prompt`, `completions` and `ranks`, 1 the best"),
  ...outputFields,
  ...deviceFields,
  ...trainingFields(1e-6),
  ...peftFields,
  ...referenceFields,
  beta: z.number().positive().default(0.1).describe("pull to the reference"),
  topK: count().optional().describe("only the first k places of a list count; default: all"),
  ties: z.enum(["omit", "average"]).default("omit").describe("completions of equal rank: not compared, or the mean over their orders"),
  maxLength: count().optional().describe("longest prompt with completion in tokens; default: 1024, or the context where that is shorter"),
  truncationMode: z.enum(["keep_start", "keep_end"]).default("keep_start").describe("which end of a longer one stays"),
  shuffleDataset: z.boolean().default(true).describe("visit the lists in a seeded random order"),
});
