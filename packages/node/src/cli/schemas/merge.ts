/** Options of `trimtab merge`. */
import { z } from "zod";
import { deviceFields, modelField, path } from "./fields";

export const mergeSchema = z.strictObject({
  ...modelField,
  ...deviceFields,
  outputDir: path().meta({ description: "where the merged model goes", aliases: ["output"] }),
  dtype: z.enum(["float32", "float16", "bfloat16"]).default("float32").describe("what the weights are stored in"),
  maxShardBytes: z.number().positive().optional().describe("most bytes of one weight file; default: 5e9"),
});
