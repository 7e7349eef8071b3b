/** Options of `trimtab eval`. */
import { z } from "zod";
import {
  count,
  deviceFields,
  environmentFields,
  judgeFields,
  modelField,
  path,
  precisionFields,
  promptsField,
  rolloutFields,
  samplingFields,
} from "./fields";

const { rewardFuncs, rewardModel, rewardWeights, rewardTimeout, onRewardError } = rolloutFields({
  learningRate: 0,
  numGenerations: 1,
  least: 1,
});

export const evalSchema = z.strictObject({
  ...modelField,
  ...precisionFields,
  ...promptsField,
  ...deviceFields,
  reference: path()
    .optional()
    .describe("model (directory or org/name) to measure the KL to and to compare rewards with, on the same prompts"),
  rewardFuncs,
  rewardModel,
  rewardWeights,
  rewardTimeout,
  onRewardError,
  ...environmentFields,
  numGenerations: count().default(4).describe("completions per prompt"),
  passK: z.array(z.number().int().min(1)).default([]).describe("k of pass@k, separated by commas"),
  passThreshold: z.number().default(0.5).describe("least reward of a right completion"),
  maxCompletionLength: count()
    .optional()
    .describe("longest completion in tokens; default: 64, or half of the context where that is shorter"),
  ...samplingFields,
  stop: z.array(z.string().min(1)).optional().describe("strings that end a completion"),
  ...judgeFields("judge of the model against the reference"),
  frontier: z.array(path()).default([]).describe("metrics.jsonl files whose reward and kl are drawn as a frontier"),
  output: path().default("eval.json").describe("where the figures go, as JSON"),
  report: path().default("eval.html").describe("where the page goes"),
});
