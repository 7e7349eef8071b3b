/** `trimtab gkd`: distils a teacher's model directory into a student's. */
import { gkd } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { loadTrainedModel } from "../../run/load-trained-model";
import { loadNamedModel } from "../../run/named-model";
import { trainOpened } from "../../run/train-opened";
import type { gkdSchema } from "../schemas/gkd";

export async function runGkd(options: z.output<typeof gkdSchema>): Promise<number> {
  const dataset = await readDataset(options.datasetName);
  return trainOpened("gkd", options, {
    open: async (device) => ({
      model: await loadTrainedModel(options, device),
      teacher: await loadNamedModel(options.teacherModelNameOrPath, { device }),
      dataset,
    }),
    start: (run) => gkd({ ...options, ...run }),
  });
}
