/** Options of `trimtab cpo`. */
import { z } from "zod";
import { feedbackFields, PREFERENCES, truncationField } from "./feedback-fields";
import { fraction } from "./fields";

export const cpoSchema = z.strictObject({
  ...feedbackFields(PREFERENCES, 1e-6),
  ...truncationField,
  lossType: z.enum(["sigmoid", "hinge", "ipo", "simpo", "alphapo"]).default("sigmoid").describe("curve of the margin"),
  beta: z.number().positive().default(0.1).describe("steepness of the curve; SimPO: 2 to 10"),
  labelSmoothing: fraction().default(0).describe("chance that a label is wrong: sigmoid, simpo, alphapo"),
  simpoGamma: z.number().min(0).default(0.5).describe("margin that simpo and alphapo ask for"),
  alpha: z.number().default(0).describe("AlphaPO's bend of the log-probabilities; 0 is off"),
  cpoAlpha: z.number().min(0).default(1).describe("weight of the chosen completions' likelihood; SimPO: 0"),
});
