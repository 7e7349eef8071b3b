/** `trimtab sft`: supervised fine-tuning of a model directory on a dataset. */
import { sft } from "@trimtab/core";
import type { z } from "zod";
import { trainOnDataset } from "../../run/train-on-dataset";
import type { sftSchema } from "../schemas/sft";

export function runSft(options: z.output<typeof sftSchema>): Promise<number> {
  return trainOnDataset("sft", options, (run) => sft({ ...options, ...run }));
}
