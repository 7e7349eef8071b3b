/** Options of `trimtab convert`. */
import { CONVERSION_TARGETS, DATASET_FORMATS } from "@trimtab/core";
import { z } from "zod";
import { datasetField, outputFileField } from "./fields";

export const convertSchema = z.strictObject({
  ...datasetField("feedback to convert"),
  ...outputFileField,
  from: z
    .enum(["auto", ...DATASET_FORMATS])
    .default("auto")
    .describe("format of the rows; auto: that of the first row"),
  to: z.enum(CONVERSION_TARGETS).describe("what the rows become"),
  scale: z
    .array(z.number())
    .length(2)
    .transform(([low, high]): [number, number] => [low as number, high as number])
    .optional()
    .describe("lowest and highest rating, separated by a comma"),
  threshold: z.number().optional().describe("ratings above it are liked, below it not; default: the middle of --scale"),
  pooling: z.enum(["rater", "pooled"]).default("rater").describe("compare the ratings of one rater, or the means over all raters"),
  minMargin: z.number().min(0).default(0).describe("drop pairs whose ratings differ by less"),
  normalizeBy: z
    .enum(["scale", "rater"])
    .optional()
    .describe("how regression targets are made; default: scale where one is given, else rater"),
  rightReward: z.number().default(1).describe("reward of a step that is right"),
  wrongReward: z.number().default(-1).describe("reward of a step that is wrong"),
  conversational: z.boolean().default(false).describe("hh-rlhf: messages instead of text"),
  axis: z.string().default("overall").describe("summarize-from-feedback: the mark that becomes the rating"),
  split: z.string().optional().describe("summarize-from-feedback: keep only the rows of this split"),
});
