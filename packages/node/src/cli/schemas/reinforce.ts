/** Options of `trimtab reinforce`. */
import { z } from "zod";
import { deviceFields, fraction, modelField, outputFields, promptsField, referenceFields, rolloutFields } from "./fields";

export const reinforceSchema = z.strictObject({
  ...modelField,
  ...promptsField,
  ...outputFields,
  ...deviceFields,
  ...rolloutFields({ learningRate: 1e-6, numGenerations: 1, least: 1 }),
  numGenerations: z.number().int().min(1).optional().describe("completions per prompt; default: 1, or 8 where a prompt's are compared"),
  advantageEstimator: z
    .enum(["reinforce", "reinforce_plus_plus", "reinforce_plus_plus_baseline", "remax", "opo", "gpg"])
    .default("reinforce")
    .describe("how rewards become advantages"),
  credit: z.enum(["total", "reward_to_go"]).optional().describe("reinforce: the whole return, or what is to come; default: reward_to_go"),
  baseline: z.enum(["none", "mean", "running_mean"]).optional().describe("reinforce: what returns are reduced by; default: running_mean"),
  gamma: fraction().default(1).describe("discount per token"),
  beta: z.number().min(0).default(0).describe("weight of the KL to the reference"),
  klPlacement: z.enum(["reward", "loss"]).optional().describe("where the KL counts; default: reward, reinforce_plus_plus_baseline: loss"),
  klEstimator: z.enum(["k1", "k2", "k3", "abs"]).optional().describe("estimator of the KL; default: k1 in the reward, k2 in the loss"),
  ...referenceFields,
  lossAggMode: z
    .enum(["token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"])
    .optional()
    .describe("how token losses are averaged; default: seq-mean-token-sum, or the estimator's"),
  epsilon: z.number().positive().default(0.2).describe("clip range of the ratio where a round gets several steps"),
  epsilonHigh: z.number().positive().optional().describe("clip range above; default: --epsilon"),
});
