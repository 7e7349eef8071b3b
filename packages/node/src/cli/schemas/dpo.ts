/** Options of `trimtab dpo`. */
import { type DpoLossType, dpoLosses } from "@trimtab/core";
import { z } from "zod";
import { feedbackFields, PREFERENCES, referenceLogpsFields, truncationField } from "./feedback-fields";
import { fraction } from "./fields";

export const dpoSchema = z.strictObject({
  ...feedbackFields(PREFERENCES, 1e-6),
  ...truncationField,
  ...referenceLogpsFields,
  beta: z.number().positive().default(0.1).describe("strength of the pull to the reference"),
  lossType: z
    .array(z.enum(Object.keys(dpoLosses) as DpoLossType[]))
    .min(1)
    .default(["sigmoid"])
    .describe("one objective or several"),
  lossWeights: z.array(z.number()).optional().describe("weight of each objective, separated by commas; default: 1 each"),
  labelSmoothing: fraction().default(0).describe("chance that a label is wrong: cdpo, robust, exo_pair, aot, aot_unpaired"),
  fDivergenceType: z
    .enum(["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"])
    .default("reverse_kl")
    .describe("divergence from the reference"),
  fAlphaDivergenceCoef: z.number().default(0.5).describe("alpha of alpha_divergence"),
  ldAlpha: fraction().optional().describe("LD-DPO: factor of the tokens beyond the shorter completion of a pair; default: off"),
  useWeighting: z.boolean().default(false).describe("WPO: pairs that the policy would write count more"),
  discopopTau: z.number().positive().default(0.05).describe("temperature of discopop"),
});
