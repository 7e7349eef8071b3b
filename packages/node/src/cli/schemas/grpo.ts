/** Options of `trimtab grpo`. */
import { type GrpoPreset, grpoPresets } from "@trimtab/core";
import { z } from "zod";
import { count, deviceFields, fraction, modelField, outputFields, promptsField, referenceFields, rolloutFields } from "./fields";

const positive = (description: string) => z.number().positive().optional().describe(description);

export const grpoSchema = z.strictObject({
  ...modelField,
  ...promptsField,
  ...outputFields,
  ...deviceFields,
  preset: z
    .enum(Object.keys(grpoPresets) as [GrpoPreset, ...GrpoPreset[]])
    .optional()
    .meta({ description: "options of a published recipe; what is given beside it wins", presets: grpoPresets }),
  ...rolloutFields({ learningRate: 1e-6, numGenerations: 8, least: 2 }),
  lossType: z
    .enum(["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo", "gmpo"])
    .default("dapo")
    .describe("how token losses are made and averaged"),
  importanceSamplingLevel: z
    .enum(["token", "sequence", "sequence_token"])
    .default("token")
    .describe("ratio per token, per sequence (GSPO), or per sequence with token gradients"),
  epsilon: positive("clip range of the ratio, below and (by default) above; default: 0.2, gmpo 0.4"),
  epsilonHigh: positive("clip range above; cispo: cap of the ratio; default: --epsilon, cispo 5"),
  delta: positive("cap of the unclipped ratio (two-sided clipping); default: off"),
  dualClip: z.number().gt(1).optional().describe("bound of the loss where the advantage is negative; default: off"),
  sapoTemperaturePos: positive("sapo: temperature of the gate where the advantage is positive; default: 1"),
  sapoTemperatureNeg: positive("sapo: temperature elsewhere; default: 1.05"),
  vespoKPos: positive("vespo: k where the advantage is not negative; default: 2"),
  vespoLambdaPos: positive("vespo: lambda there; default: 3"),
  vespoKNeg: positive("vespo: k elsewhere; default: 3"),
  vespoLambdaNeg: positive("vespo: lambda elsewhere; default: 2"),
  beta: z.number().min(0).default(0).describe("weight of the KL to the reference in the loss"),
  klEstimator: z.enum(["k1", "k2", "k3", "abs"]).default("k3").describe("estimator of that KL"),
  useBiasCorrectionKl: z.boolean().default(true).describe("multiply the KL term by the ratio (TRL: true from 1.10.0)"),
  ...referenceFields,
  scaleRewards: z.enum(["group", "batch", "none"]).default("group").describe("what advantages are divided by the deviation of"),
  multiObjectiveAggregation: z
    .enum(["sum_then_normalize", "normalize_then_sum"])
    .default("sum_then_normalize")
    .describe("normalise the sum of the rewards, or each of them (GDPO)"),
  supervision: z.enum(["outcome", "process"]).default("outcome").describe("credit whole completions, or the steps that rewards name"),
  dynamicSampling: z.boolean().default(false).describe("replace groups whose rewards are all equal by further prompts (DAPO)"),
  maxResamplingAttempts: count().optional().describe("most further draws per round; default: 10"),
  topEntropyQuantile: z.number().gt(0).max(1).default(1).describe("share of the most uncertain tokens that learn"),
  entropyCoef: z.number().default(0).describe("weight of the entropy bonus; the first one where it adapts"),
  useAdaptiveEntropy: z.boolean().default(false).describe("let the weight of the entropy bonus follow the entropy"),
  entropyTarget: z.number().min(0).optional().describe("entropy per token below which there is a bonus; default: 0.2"),
  entropyCoefDelta: positive("change of the weight per step; default: 0.005"),
  entropyCoefMin: z.number().min(0).optional().describe("smallest weight; default: 0"),
  entropyCoefMax: z.number().min(0).optional().describe("largest weight; default: 1"),
  offPolicyMaskThreshold: z.number().optional().describe("drop bad completions that the policy has left by more than this; default: off"),
  samplingImportanceCorrection: z
    .boolean()
    .default(false)
    .meta({
      description: "weigh tokens by the policy's probability over the sampler's",
      aliases: ["vllm-importance-sampling-correction"],
    }),
  samplingImportanceMode: z
    .enum(["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"])
    .default("sequence_mask")
    .meta({ description: "weights of tokens or completions, clamped or dropped", aliases: ["vllm-importance-sampling-mode"] }),
  samplingImportanceClipMax: z
    .number()
    .positive()
    .optional()
    .meta({ description: "largest weight; default: 3", aliases: ["vllm-importance-sampling-clip-max"] }),
  samplingImportanceClipMin: fraction()
    .optional()
    .meta({ description: "smallest weight; default: 0", aliases: ["vllm-importance-sampling-clip-min"] }),
});
