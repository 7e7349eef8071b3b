/** Options of `trimtab grpo`. */
import { z } from "zod";
import { deviceFields, modelField, outputFields, promptsField, rolloutFields } from "./fields";

export const grpoSchema = z.strictObject({
  ...modelField,
  ...promptsField,
  ...outputFields,
  ...deviceFields,
  ...rolloutFields({ learningRate: 1e-6, numGenerations: 8, least: 2 }),
  beta: z.number().min(0).default(0).describe("weight of the KL to the starting policy in the loss"),
  epsilon: z.number().positive().default(0.2).describe("clip range of the ratio, below and (by default) above"),
  epsilonHigh: z.number().positive().optional().describe("clip range above; default: --epsilon"),
  delta: z.number().positive().optional().describe("cap of the unclipped ratio (two-sided clipping); default: off"),
  lossType: z.enum(["grpo", "bnpo", "dr_grpo", "dapo"]).default("dapo").describe("how token losses are averaged"),
  importanceSamplingLevel: z.enum(["token", "sequence"]).default("token").describe("ratio per token, or per sequence (GSPO)"),
  scaleRewards: z.enum(["group", "batch", "none"]).default("group").describe("what advantages are divided by the deviation of"),
});
