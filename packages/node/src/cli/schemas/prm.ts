/** Options of `trimtab prm`. */
import { z } from "zod";
import { feedbackFields } from "./feedback-fields";

export const prmSchema = z.strictObject({
  ...feedbackFields("dataset of `prompt`, `completions` (steps) and `labels` or `rewards` of the steps", 1e-5),
  lossType: z.enum(["binary", "regression"]).optional().describe("default: binary for labels, regression for rewards"),
  stepSeparator: z.string().min(1).default("\n").describe("text after each step"),
  trainOnLastStepOnly: z.boolean().default(false).describe("learn only from the last step"),
});
