/** `trimtab kto`: Kahneman-Tversky optimisation on completions marked good or bad. */
import { kto } from "@trimtab/core";
import type { z } from "zod";
import { trainOnDataset } from "../../run/train-on-dataset";
import type { ktoSchema } from "../schemas/kto";

export function runKto(options: z.output<typeof ktoSchema>): Promise<number> {
  return trainOnDataset("kto", options, (run) => kto({ ...options, ...run }));
}
