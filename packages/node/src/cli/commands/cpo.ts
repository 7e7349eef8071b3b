/** `trimtab cpo`: CPO, SimPO and AlphaPO: preferences without a reference. */
import { cpo } from "@trimtab/core";
import type { z } from "zod";
import { trainOnDataset } from "../../run/train-on-dataset";
import type { cpoSchema } from "../schemas/cpo";

export function runCpo(options: z.output<typeof cpoSchema>): Promise<number> {
  return trainOnDataset("cpo", options, (run) => cpo({ ...options, ...run }));
}
