/** Options of `trimtab orpo`. */
import { z } from "zod";
import { feedbackFields, PREFERENCES, truncationField } from "./feedback-fields";

export const orpoSchema = z.strictObject({
  ...feedbackFields(PREFERENCES, 1e-6),
  ...truncationField,
  beta: z.number().min(0).default(0.1).describe("weight of the preference (lambda in the paper)"),
  completionOnlyLoss: z.boolean().default(false).describe("take the likelihood over the completion only, not over the prompt too"),
});
