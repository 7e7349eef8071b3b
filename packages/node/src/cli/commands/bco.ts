/** `trimtab bco`: binary classifier optimisation on completions marked good or bad. */
import { bco } from "@trimtab/core";
import type { z } from "zod";
import { trainOnDataset } from "../../run/train-on-dataset";
import type { bcoSchema } from "../schemas/bco";

export function runBco(options: z.output<typeof bcoSchema>): Promise<number> {
  return trainOnDataset("bco", options, (run) => bco({ ...options, ...run }));
}
