/** Options of `trimtab best-of-n`. */
import { z } from "zod";
import {
  count,
  deviceFields,
  modelField,
  outputFileField,
  path,
  precisionFields,
  promptsField,
  rolloutFields,
  samplingFields,
} from "./fields";

const { rewardWeights, rewardTimeout, onRewardError, maxCompletionLength } = rolloutFields({
  learningRate: 0,
  numGenerations: 8,
  least: 1,
});

export const bestOfNSchema = z.strictObject({
  ...modelField,
  ...precisionFields,
  ...promptsField,
  ...outputFileField,
  ...deviceFields,
  rewardFuncs: z.array(path()).min(1).describe("modules of reward functions (.js, .mjs, .ts), or path#export"),
  rewardWeights,
  rewardTimeout,
  onRewardError,
  numGenerations: count().default(8).describe("completions per prompt"),
  maxCompletionLength,
  ...samplingFields,
  stop: z.array(z.string().min(1)).optional().describe("strings that end a completion"),
  keep: count().default(1).describe("most completions kept of each prompt"),
  threshold: z.number().optional().describe("least reward of what is kept; default: any"),
  selectionTemperature: z
    .number()
    .min(0)
    .default(0)
    .describe("0 keeps the best; above 0 draws with probabilities proportional to exp(reward / temperature)"),
  dropTruncated: z.boolean().default(true).describe("leave out completions cut short by the length limit"),
});
