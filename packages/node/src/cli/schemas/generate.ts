/** Options of `trimtab generate`. */
import { z } from "zod";
import { count, deviceFields, modelField, path, precisionFields, samplingFields } from "./fields";

export const generateSchema = z.strictObject({
  ...modelField,
  ...precisionFields,
  prompt: z.array(z.string()).optional().describe("text to continue; may be given several times"),
  datasetName: path()
    .optional()
    .meta({ description: "dataset with a `prompt` column instead of --prompt", aliases: ["dataset"] }),
  ...deviceFields,
  maxCompletionLength: count()
    .default(64)
    .meta({ description: "longest completion in tokens", aliases: ["max-new-tokens"] }),
  numGenerations: count().default(1).describe("completions per prompt"),
  ...samplingFields,
  values: path().optional().describe("directory of token values that guide the model (trimtab ilql)"),
  beta: z.number().min(0).default(1).describe("how strongly they guide it"),
  stop: z.array(z.string().min(1)).optional().describe("strings that end a completion"),
  jsonSchema: path().optional().describe("file with a JSON schema that completions are held to"),
  regex: z.string().min(1).optional().describe("regular expression that completions match as a whole"),
  json: z.boolean().default(false).describe("print one JSON object per completion"),
});
