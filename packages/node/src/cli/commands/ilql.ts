/** `trimtab ilql`: values of every token from a dataset of rewards; the policy goes to the output directory, the values to `values` in it. */
import { join } from "node:path";
import { ilql, newTokenValues, saveTokenValues } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { nodeDirectory } from "../../files";
import { loadTrainedModel } from "../../run/load-trained-model";
import { trainOpened } from "../../run/train-opened";
import type { ilqlSchema } from "../schemas/ilql";

export async function runIlql(options: z.output<typeof ilqlSchema>): Promise<number> {
  const dataset = await readDataset(options.datasetName);
  return trainOpened("ilql", options, {
    async open(device) {
      const model = await loadTrainedModel(options, device);
      const values = newTokenValues(model, { trunk: options.trunk, width: options.headWidth, seed: options.seed });
      return { model, values, dataset };
    },
    start: (run) => ilql({ ...options, ...run }),
    async onSaved({ values }) {
      const directory = join(options.outputDir, "values");
      await saveTokenValues(values, nodeDirectory(directory));
      console.log(`Values in ${directory}: trimtab generate --model ${options.outputDir} --values ${directory}`);
    },
  });
}
