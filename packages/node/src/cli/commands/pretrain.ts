/** `trimtab pretrain`: a new model, and where none is given a new tokenizer, from text. */
import { newLanguageModel, sft, Tokenizer } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { loadNamedTokenizer } from "../../run/named-model";
import { trainOpened } from "../../run/train-opened";
import type { pretrainSchema } from "../schemas/pretrain";
import { textsOf } from "./tokenizer";

export async function pretrain(options: z.output<typeof pretrainSchema>): Promise<number> {
  const dataset = await readDataset(options.datasetName);
  const tokenizer = options.tokenizerNameOrPath
    ? await loadNamedTokenizer(options.tokenizerNameOrPath)
    : Tokenizer.train(textsOf(dataset, options.datasetTextField), { vocabSize: options.vocabSize });
  const { modelType, hiddenSize, intermediateSize, numKeyValueHeads: kvHeads, tieWordEmbeddings: tied, initializerRange } = options;
  const { numHiddenLayers: layers, numAttentionHeads: heads, maxPositionEmbeddings: maxPositions } = options;
  const shape = { modelType, hiddenSize, intermediateSize, layers, heads, kvHeads, maxPositions, tied, initializerRange };
  return trainOpened("pretrain", options, {
    open: async (device) => ({ model: newLanguageModel(device, shape, tokenizer, options.seed), dataset }),
    start: (run) => sft({ ...options, ...run }),
  });
}
