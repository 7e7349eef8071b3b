/** Options of `trimtab rloo`. */
import { z } from "zod";
import { deviceFields, modelField, outputFields, promptsField, referenceFields, rolloutFields } from "./fields";

export const rlooSchema = z.strictObject({
  ...modelField,
  ...promptsField,
  ...outputFields,
  ...deviceFields,
  ...rolloutFields({ learningRate: 1e-6, numGenerations: 2, least: 2 }),
  beta: z.number().min(0).default(0.05).describe("price of the KL to the reference in the reward"),
  ...referenceFields,
  epsilon: z.number().positive().default(0.2).describe("clip range of the completion's ratio, below and (by default) above"),
  epsilonHigh: z.number().positive().optional().describe("clip range above; default: --epsilon"),
  normalizeAdvantages: z.boolean().default(false).describe("standardise advantages over the round"),
  rewardClipRange: z
    .array(z.number())
    .length(2)
    .transform(([low, high]) => [low as number, high as number] as const)
    .optional()
    .describe("smallest and largest reward, separated by a comma; default: no clip"),
});
