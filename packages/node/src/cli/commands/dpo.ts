/** `trimtab dpo`: direct preference optimisation. */
import { dpo } from "@trimtab/core";
import type { z } from "zod";
import { trainOnDataset } from "../../run/train-on-dataset";
import type { dpoSchema } from "../schemas/dpo";

export function runDpo(options: z.output<typeof dpoSchema>): Promise<number> {
  return trainOnDataset("dpo", options, (run) => dpo({ ...options, ...run }));
}
