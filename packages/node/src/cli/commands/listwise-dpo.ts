/** `trimtab listwise-dpo`: DPO on ranked lists of completions. */
import { listwiseDpo } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { loadTrainedModel } from "../../run/load-trained-model";
import { openRun } from "../../run/run-directory";
import { train } from "../../run/train";
import type { listwiseDpoSchema } from "../schemas/listwise-dpo";

export async function runListwiseDpo(options: z.output<typeof listwiseDpoSchema>): Promise<number> {
  const dataset = await readDataset(options.datasetName);
  return withDevice(options, async (device) => {
    const run = await openRun(options);
    const model = await loadTrainedModel(options, device);
    const steps = listwiseDpo({ ...options, model, dataset, resume: run.resume, clock: () => performance.now() });
    return train({ command: "listwise-dpo", model, device, steps, run, options });
  });
}
