/** Options of `trimtab reward`. */
import { z } from "zod";
import { feedbackFields } from "./feedback-fields";
import { count, path } from "./fields";

export const rewardSchema = z.strictObject({
  ...feedbackFields("dataset of preferences, ranked lists, ratings or labelled completions", 1e-4),
  lossType: z
    .enum(["bradley_terry", "margin_regression", "all_pairs", "plackett_luce", "best_of_n", "regression", "binary"])
    .optional()
    .describe("default: bradley_terry for preferences, all_pairs for lists, regression for ratings, binary for labels"),
  centerRewardsCoefficient: z.number().min(0).optional().describe("weight that holds scores round 0 (bradley_terry); default: off"),
  topK: count().optional().describe("plackett_luce: only the first k places count; default: all"),
  normalizeDataset: path()
    .optional()
    .describe("prompts with completions of known standing, e.g. samples of the reference policy, whose rewards get mean 0 and deviation 1"),
  ties: z.enum(["omit", "average"]).default("omit").describe("equal ranks: not compared, or the mean over their orders"),
});
