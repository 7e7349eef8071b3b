/** Options that the trainers with a value function share. */
import { z } from "zod";
import { deviceFields, modelField, outputFields, path, promptsField, referenceFields, rolloutFields } from "./fields";

export interface CriticFieldDefaults {
  readonly klCoef: number;
  readonly vfCoef: number;
  readonly valueModel: "shared" | "separate";
  readonly whitenAdvantages: boolean;
}

/** How many steps a batch of completions gets is the command's own to say. */
const {
  numIterations: _iterations,
  stepsPerGeneration: _steps,
  ...sampled
} = rolloutFields({ learningRate: 3e-6, numGenerations: 1, least: 1 });

export const criticFields = (defaults: CriticFieldDefaults) => ({
  ...modelField,
  ...promptsField,
  ...outputFields,
  ...deviceFields,
  ...sampled,
  klCoef: z.number().min(0).default(defaults.klCoef).describe("price of the KL to the reference in the reward of every token"),
  klEstimator: z.enum(["k1", "k2", "k3", "abs"]).default("k1").describe("estimator of that KL"),
  logKl: z.boolean().default(false).describe("report the KL even where it has no price"),
  ...referenceFields,
  missingEosPenalty: z.number().min(0).optional().describe("subtracted from the score of a completion that did not end"),
  rewardClipRange: z
    .array(z.number())
    .length(2)
    .transform(([low, high]) => [low as number, high as number] as const)
    .optional()
    .describe("smallest and largest score, separated by a comma; default: no clip"),
  scorePlacement: z.enum(["last", "trl"]).default("last").describe("where the score is paid: on the last token, or after it as in TRL"),
  whitenRewards: z.boolean().default(false).describe("divide rewards by their deviation over the batch"),
  whitenAdvantages: z.boolean().default(defaults.whitenAdvantages).describe("standardise advantages over the batch"),
  gamma: z.number().min(0).max(1).default(1).describe("discount per token"),
  lam: z.number().min(0).max(1).default(0.95).describe("lambda of generalised advantage estimation"),
  valueModel: path()
    .default(defaults.valueModel)
    .describe("value function: a head on the policy (shared), a copy of it (separate), or a reward model's directory to copy"),
  valueLearningRate: z.number().min(0).optional().describe("peak learning rate of the value function; default: --learning-rate"),
  vfCoef: z.number().min(0).default(defaults.vfCoef).describe("weight of the value loss"),
  entropyCoef: z.number().default(0).describe("weight of the entropy bonus"),
});
