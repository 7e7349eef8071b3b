/** `trimtab sample`: varied completions of prompts, written as rows for people to compare. */
import { sampleCompletions } from "@trimtab/core";
import type { z } from "zod";
import { prepareDataset, readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { loadModelOf } from "../../run/named-model";
import type { sampleSchema } from "../schemas/sample";
import { writeConversion } from "../write-conversion";

export async function runSample(options: z.output<typeof sampleSchema>): Promise<number> {
  const { modelNameOrPath, modelRevision: revision, datasetName, output, device: _, threads: __, ...settings } = options;
  await prepareDataset(output);
  const rows = await readDataset(datasetName);
  const sampled = await withDevice(options, async (device) =>
    sampleCompletions({ ...settings, rows, model: await loadModelOf(options, device) }),
  );
  await writeConversion("trimtab sample", rows.length, sampled, output);
  return 0;
}
