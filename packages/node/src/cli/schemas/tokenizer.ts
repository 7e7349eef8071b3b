/** Options of `trimtab tokenizer`. */
import { z } from "zod";
import { datasetField, path } from "./fields";

export const tokenizerTrainSchema = z.strictObject({
  ...datasetField("texts to learn from"),
  datasetTextField: z.string().default("text").describe("column that holds the text"),
  vocabSize: z.number().int().min(257).default(2048).describe("tokens in all, the 256 bytes and the special tokens included"),
  outputDir: path().meta({ description: "directory for tokenizer.json and tokenizer_config.json", aliases: ["output"] }),
});

export const tokenizerUseSchema = z.strictObject({
  tokenizerNameOrPath: path().meta({
    description: "directory with a tokenizer.json, or org/name on the Hugging Face hub",
    aliases: ["tokenizer", "model", "model-name-or-path"],
  }),
});
