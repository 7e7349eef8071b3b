/** Options of `trimtab online-dpo`. */
import { z } from "zod";
import { count, deviceFields, judgeFields, modelField, outputFields, promptsField, referenceFields, rolloutFields } from "./fields";

// A round is one step's rows, and every prompt has two completions.
const { numGenerations: _, stepsPerGeneration: __, ...rollout } = rolloutFields({ learningRate: 5e-7, numGenerations: 2, least: 2 });

export const onlineDpoSchema = z.strictObject({
  ...modelField,
  ...promptsField,
  ...outputFields,
  ...deviceFields,
  ...rollout,
  ...judgeFields("ranks the pairs in place of rewards, read in both orders"),
  temperature: z.number().positive().default(0.9).describe("sampling temperature"),
  maxCompletionLength: count()
    .optional()
    .meta({
      description: "longest completion in tokens; default: 64, or half of the context where that is shorter",
      aliases: ["max-new-tokens"],
    }),
  beta: z.array(z.number().positive()).min(1).default([0.1]).describe("pull to the reference; one for each epoch, separated by commas"),
  lossType: z.enum(["sigmoid", "ipo"]).default("sigmoid").describe("loss on a pair"),
  missingEosPenalty: z.number().min(0).default(0).describe("taken off the score of a completion that was cut short"),
  ...referenceFields,
});
