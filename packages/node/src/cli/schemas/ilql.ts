/** Options of `trimtab ilql`. */
import { z } from "zod";
import { feedbackFields } from "./feedback-fields";
import { count, fraction } from "./fields";

const { shuffleDataset: _shuffle, ...shared } = feedbackFields("dataset of `prompt`, `completion` and `reward`", 5e-5);

export const ilqlSchema = z.strictObject({
  ...shared,
  maxLength: count().optional().describe("longest prompt with completion in tokens; a longer one is refused; default: the context"),
  trunk: z.enum(["shared", "separate"]).default("shared").describe("heads on the policy's own trunk, or on a copy of it"),
  headWidth: count().optional().describe("channels inside each head; default: twice the model's"),
  tau: fraction().default(0.7).describe("expectile of the state value: 0.5 is the data's average action, towards 1 its best"),
  gamma: fraction().default(0.99).describe("discount per token"),
  cqlScale: z.number().min(0).default(0.1).describe("weight of the term that holds down values of tokens the data lacks"),
  awacScale: z.number().min(0).default(1).describe("weight of the policy's likelihood of the data; 0 leaves the policy alone"),
  awacBeta: z.number().min(0).default(0).describe("weighs each token's likelihood by exp(this times its advantage)"),
  alpha: z.number().gt(0).max(1).default(0.001).describe("how far the target network moves"),
  targetSyncSteps: count().default(5).describe("optimiser steps between two such moves"),
  valueLearningRate: z.number().min(0).optional().describe("peak learning rate of the heads; default: --learning-rate"),
});
