/** Options of `trimtab sft`. */
import { z } from "zod";
import { count, datasetField, deviceFields, modelField, outputFields, peftFields, supervisedFields, trainingFields } from "./fields";

export const sftSchema = z.strictObject({
  ...modelField,
  ...datasetField("dataset of texts, messages, or prompts with completions"),
  ...outputFields,
  ...deviceFields,
  ...trainingFields(2e-5),
  ...peftFields,
  ...supervisedFields,
  maxLength: count().optional().describe("longest row in tokens; longer ones are cut; default: 1024, or the context where that is shorter"),
  assistantOnlyLoss: z.boolean().optional().describe("learn only what the assistant says, in datasets of messages"),
  completionOnlyLoss: z.boolean().optional().describe("learn only the completion; default: where the dataset has prompts"),
});
