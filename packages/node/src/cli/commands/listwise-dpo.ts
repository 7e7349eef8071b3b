/** `trimtab listwise-dpo`: DPO on ranked lists of completions. */
import { listwiseDpo } from "@trimtab/core";
import type { z } from "zod";
import { trainOnDataset } from "../../run/train-on-dataset";
import type { listwiseDpoSchema } from "../schemas/listwise-dpo";

export function runListwiseDpo(options: z.output<typeof listwiseDpoSchema>): Promise<number> {
  return trainOnDataset("listwise-dpo", options, (run) => listwiseDpo({ ...options, ...run }));
}
