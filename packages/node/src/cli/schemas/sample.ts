/** Options of `trimtab sample`. */
import { z } from "zod";
import { count, datasetField, deviceFields, modelField, outputFileField, precisionFields, samplingFields } from "./fields";

const { temperature: _, ...sampling } = samplingFields;

export const sampleSchema = z.strictObject({
  ...modelField,
  ...precisionFields,
  ...datasetField("dataset with a `prompt` column; other columns are handed on"),
  ...outputFileField,
  ...deviceFields,
  temperatures: z
    .array(z.number().min(0))
    .min(1)
    .default([0.3, 0.7, 1])
    .describe("sampling temperatures, separated by commas; 0 is greedy and gives one completion"),
  numGenerations: count().default(2).describe("completions per prompt and temperature"),
  maxCompletionLength: count()
    .default(64)
    .meta({ description: "longest completion in tokens", aliases: ["max-new-tokens"] }),
  ...sampling,
  stop: z.array(z.string().min(1)).optional().describe("strings that end a completion"),
  format: z
    .enum(["list", "pairs", "single"])
    .default("list")
    .describe("a row per prompt, ready for `ranks`; per two completions; or per completion, ready for `rating`, `label` or `edited`"),
});
