/** `trimtab ilql`: values of every token from a dataset of rewards; the policy goes to the output directory, the values to `values` in it. */
import { join } from "node:path";
import { ilql, newTokenValues, saveTokenValues } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { nodeDirectory } from "../../files";
import { loadTrainedModel } from "../../run/load-trained-model";
import { openRun } from "../../run/run-directory";
import { train } from "../../run/train";
import type { ilqlSchema } from "../schemas/ilql";

export async function runIlql(options: z.output<typeof ilqlSchema>): Promise<number> {
  const dataset = await readDataset(options.datasetName);
  return withDevice(options, async (device) => {
    const run = await openRun(options);
    const model = await loadTrainedModel(options, device);
    const values = newTokenValues(model, { trunk: options.trunk, width: options.headWidth, seed: options.seed });
    const steps = ilql({ ...options, model, values, dataset, resume: run.resume, clock: () => performance.now() });
    const code = await train({ command: "ilql", model, device, steps, run, options });
    if (code !== 0) return code;
    const directory = join(options.outputDir, "values");
    await saveTokenValues(values, nodeDirectory(directory));
    console.log(`Values in ${directory}: trimtab generate --model ${options.outputDir} --values ${directory}`);
    return 0;
  });
}
