/** `trimtab gkd`: distils a teacher's model directory into a student's. */
import { gkd } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { loadTrainedModel } from "../../run/load-trained-model";
import { loadNamedModel } from "../../run/named-model";
import { openRun } from "../../run/run-directory";
import { train } from "../../run/train";
import type { gkdSchema } from "../schemas/gkd";

export async function runGkd(options: z.output<typeof gkdSchema>): Promise<number> {
  const dataset = await readDataset(options.datasetName);
  return withDevice(options, async (device) => {
    const run = await openRun(options);
    const model = await loadTrainedModel(options, device);
    const teacher = await loadNamedModel(options.teacherModelNameOrPath, { device });
    const steps = gkd({ ...options, model, teacher, dataset, resume: run.resume, clock: () => performance.now() });
    return train({ command: "gkd", model, device, steps, run, options });
  });
}
