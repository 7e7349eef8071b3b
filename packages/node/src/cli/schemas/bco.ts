/** Options of `trimtab bco`. */
import { z } from "zod";
import { feedbackFields, referenceLogpsFields, truncationField, UNPAIRED } from "./feedback-fields";

export const bcoSchema = z.strictObject({
  ...feedbackFields(UNPAIRED, 5e-7),
  ...truncationField,
  ...referenceLogpsFields,
  beta: z.number().positive().default(0.1).describe("strength of the pull to the reference"),
});
