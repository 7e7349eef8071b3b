/** Options of `trimtab trpo`. */
import { z } from "zod";
import { criticFields } from "./critic-fields";
import { count } from "./fields";

const {
  vfCoef: _vfCoef,
  entropyCoef: _entropyCoef,
  valueLearningRate: _valueLearningRate,
  ...shared
} = criticFields({ klCoef: 0, vfCoef: 1, valueModel: "separate", whitenAdvantages: true });

export const trpoSchema = z.strictObject({
  ...shared,
  learningRate: z.number().min(0).default(1e-3).describe("peak learning rate of the value model (--advantage gae); the policy has none"),
  numGenerations: count().optional().describe("completions per prompt; default: 8 where they are compared with each other, else 1"),
  whitenAdvantages: z.boolean().optional().describe("standardise advantages; default: where completions are not compared with each other"),
  advantage: z.enum(["group", "leave_one_out", "return", "gae"]).default("group").describe("how rewards become advantages"),
  scaleRewards: z.enum(["group", "batch", "none"]).default("group").describe("--advantage group: the deviation that divides"),
  delta: z.number().positive().default(0.01).describe("largest mean KL of a step, old to new policy, in nats per token"),
  damping: z.number().min(0).default(0.1).describe("added to the diagonal of the Fisher matrix"),
  cgIterations: count().default(10).describe("rounds of conjugate gradients"),
  lineSearch: z.boolean().default(true).describe("cut the step back until KL and surrogate hold; --no-line-search: natural gradient"),
  backtrackIterations: count().default(10).describe("lengths of the step that the search tries"),
  backtrackCoefficient: z.number().gt(0).lt(1).default(0.8).describe("from one length to the next"),
  fisherSubset: z.number().gt(0).max(1).default(1).describe("share of the completions that the Fisher matrix is measured on"),
  weighting: z.enum(["token", "sequence"]).default("token").describe("whether every token counts the same, or every completion"),
  trainable: z.array(z.string().min(1)).optional().describe("parts of the names of the parameters that move; default: all"),
  valueIterations: count().default(10).describe("--advantage gae: steps of the value model per step of the policy"),
});
