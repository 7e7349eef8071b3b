/** Options of `trimtab pretrain`. */
import { z } from "zod";
import { count, datasetField, deviceFields, outputFields, path, supervisedFields, trainingFields } from "./fields";

export const pretrainSchema = z.strictObject({
  ...datasetField("texts to learn from"),
  ...outputFields,
  ...deviceFields,
  ...trainingFields(1e-3),
  ...supervisedFields,
  packing: z.boolean().default(true).describe("fill rows of --max-length with several sequences"),
  packingStrategy: z.enum(["bfd", "bfd_split", "wrapped"]).default("wrapped").describe("how sequences share rows"),
  maxLength: count().default(256).describe("row length in tokens"),
  tokenizerNameOrPath: path()
    .optional()
    .describe("directory with a tokenizer.json, or org/name on the hub; default: train one on the dataset"),
  vocabSize: z.number().int().min(257).default(2048).describe("size of the tokenizer that is trained"),
  modelType: z
    .enum(["llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma2", "gemma3_text", "phi3", "olmo2", "gpt2"])
    .default("llama")
    .describe("architecture"),
  hiddenSize: count().default(128).describe("channels"),
  intermediateSize: count().optional().describe("channels inside the MLP; default: 8/3 of the hidden size, 4 for gpt2"),
  numHiddenLayers: count().default(4).describe("layers"),
  numAttentionHeads: count().default(4).describe("query heads"),
  numKeyValueHeads: count().optional().describe("key/value heads; default: as many as query heads"),
  maxPositionEmbeddings: count().default(512).describe("longest sequence the model is made for"),
  initializerRange: z.number().positive().optional().describe("standard deviation of the first weights; default: 0.02"),
  tieWordEmbeddings: z.boolean().default(true).describe("the output head is the embedding table"),
});
