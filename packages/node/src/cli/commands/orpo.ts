/** `trimtab orpo`: supervised learning and preferences in one, without a reference. */
import { orpo } from "@trimtab/core";
import type { z } from "zod";
import { trainOnDataset } from "../../run/train-on-dataset";
import type { orpoSchema } from "../schemas/orpo";

export function runOrpo(options: z.output<typeof orpoSchema>): Promise<number> {
  return trainOnDataset("orpo", options, (run) => orpo({ ...options, ...run }));
}
