/** `trimtab pretrain`: a new model, and where none is given a new tokenizer, from text. */
import { newLanguageModel, sft, Tokenizer } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { loadNamedTokenizer } from "../../run/named-model";
import { openRun } from "../../run/run-directory";
import { train } from "../../run/train";
import type { pretrainSchema } from "../schemas/pretrain";
import { textsOf } from "./tokenizer";

export async function pretrain(options: z.output<typeof pretrainSchema>): Promise<number> {
  const dataset = await readDataset(options.datasetName);
  const tokenizer = options.tokenizerNameOrPath
    ? await loadNamedTokenizer(options.tokenizerNameOrPath)
    : Tokenizer.train(textsOf(dataset, options.datasetTextField), { vocabSize: options.vocabSize });
  return withDevice(options, async (device) => {
    const run = await openRun(options);
    const { modelType, hiddenSize, intermediateSize, numKeyValueHeads: kvHeads, tieWordEmbeddings: tied, initializerRange } = options;
    const { numHiddenLayers: layers, numAttentionHeads: heads, maxPositionEmbeddings: maxPositions } = options;
    const shape = { modelType, hiddenSize, intermediateSize, layers, heads, kvHeads, maxPositions, tied, initializerRange };
    const model = newLanguageModel(device, shape, tokenizer, options.seed);
    const steps = sft({ ...options, model, dataset, resume: run.resume, clock: () => performance.now() });
    return train({ command: "pretrain", model, device, steps, run, options });
  });
}
