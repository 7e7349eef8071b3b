/** `trimtab prm`: train a process reward model. */
import { prm } from "@trimtab/core";
import type { z } from "zod";
import { trainScalarOnDataset } from "../../run/train-on-dataset";
import type { prmSchema } from "../schemas/prm";

export function runPrm(options: z.output<typeof prmSchema>): Promise<number> {
  return trainScalarOnDataset("prm", options, (run) => prm({ ...options, ...run }));
}
