/** Options of `trimtab kto`. */
import { z } from "zod";
import { feedbackFields, referenceLogpsFields, truncationField, UNPAIRED } from "./feedback-fields";

export const ktoSchema = z.strictObject({
  ...feedbackFields(UNPAIRED, 1e-6),
  ...truncationField,
  ...referenceLogpsFields,
  lossType: z.enum(["kto", "apo_zero_unpaired"]).default("kto").describe("with the KL baseline, or without"),
  beta: z.number().positive().default(0.1).describe("strength of the pull to the reference"),
  desirableWeight: z.number().min(0).default(1).describe("weight of good completions"),
  undesirableWeight: z.number().min(0).default(1).describe("weight of bad completions"),
});
