/** `trimtab sft`: supervised fine-tuning of a model directory on a dataset. */
import { sft } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { loadTrainedModel } from "../../run/load-trained-model";
import { openRun } from "../../run/run-directory";
import { train } from "../../run/train";
import type { sftSchema } from "../schemas/sft";

export async function runSft(options: z.output<typeof sftSchema>): Promise<number> {
  const dataset = await readDataset(options.datasetName);
  return withDevice(options, async (device) => {
    const run = await openRun(options);
    const model = await loadTrainedModel(options, device);
    const steps = sft({ ...options, model, dataset, resume: run.resume, clock: () => performance.now() });
    return train({ command: "sft", model, device, steps, run, options });
  });
}
